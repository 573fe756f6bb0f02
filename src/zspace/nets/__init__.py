"""Networks: functions and classes that make `torch.nn` modules, and nothing else."""
