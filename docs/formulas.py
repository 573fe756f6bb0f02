"""Formulas as MathML, which browsers show without a script.

Two ways of writing them are read: TeX, in the pages of the guide, and the plain text of docstrings,
such as `E_x[ ||x - D(E(x))||^2 ] + lambda sum_i w_i`.
"""

from __future__ import annotations

import html
import re
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from latex2mathml.converter import convert

FUNCTIONS = ("log", "exp", "cos", "det", "min", "max")
"""Names that are set apart from their argument, where that has no parentheses."""

SYMBOLS = {
    "lambda": "λ",
    "theta": "θ",
    "mu": "μ",
    "sigma": "σ",
    "gamma": "γ",
    "beta": "β",
    "alpha": "α",
    "sum": "∑",
    "prod": "∏",
    "int": "∫",
    "grad": "∇",
}
"""Words of plain formulas that stand for a symbol."""

OPERATORS = {
    "<-": "←",
    "->": "→",
    ">=": "≥",
    "<=": "≤",
    "!=": "≠",
    "~": "∼",
    "-": "−",
    "*": "∗",
    "=": "=",
    "+": "+",
    "/": "/",
    "<": "&lt;",
    ">": "&gt;",
    ":": ":",
}
"""Operators of plain formulas, and how they are set."""

JOINING = ("of", "over", "and", "or", "with")
"""Words after which a minus is a sign."""

THIN = '<mspace width="0.2em"/>'
BETWEEN_WORDS = '<mspace width="0.3em"/>'
PRIME = '<mo lspace="0" rspace="0">′</mo>'
WIDE = '<mspace width="1.5em"/>'

TOKEN = re.compile(
    r"\s+|\((?:Eq\. |section )[\d.]+\)|\.\.\.|<-|->|>=|<=|!=|\|\||\d+/\d+|\d+(?:\.\d+)?"
    r"|[a-z]{2,}(?:_[a-z]{3,})+|[A-Za-z]{2,}'s?|[A-Za-z]+|."
)


def tex(text: str, *, block: bool = False) -> str:
    r"""TeX to MathML.

    >>> "∼" in tex(r"n \sim N(0, I)"), "<mi>log</mi><mspace" in tex(r"\log p")
    (True, True)
    """
    text = html.unescape(text)
    for written, known in (
        ("{aligned}", "{align*}"),
        ("{gathered}", "{matrix}"),
        (r"\lVert", r"\|"),  # these would stretch with what is raised behind them
        (r"\rVert", r"\|"),
    ):
        text = text.replace(written, known)
    made = convert(text.strip(), display="block" if block else "inline")
    made = made.replace("<mi>&#x0007E;</mi>", "<mo>∼</mo>").replace("<mo>&#x0005E;<", "<mo>ˆ<")
    made = re.sub(
        rf"(<mi>(?:{'|'.join(FUNCTIONS)})</mi>)(?!<mo[^>]*>&#x00028;)", rf"\1{THIN}", made
    )
    made = re.sub(r"(</(?:mi|mn|msub|msup)>)(<mi>(?:log|exp|cos)</mi>)", rf"\1{THIN}\2", made)
    made = re.sub(
        r"<msup>(<mi>\w</mi>)<mi>&#x0203([23]);</mi></msup>",
        lambda found: found[1] + PRIME * (int(found[2]) - 1),
        made,
    )
    made = made.replace(">&#x0007C;<", ' lspace="0" rspace="0">|<')
    return f'<div class="formula">{made}</div>' if block else made


def plain(text: str) -> str:
    """A formula of a docstring to MathML, line by line, each part in a column of its own.

    >>> plain("1/2 E_x log p").count("<mfrac>")
    1
    """
    lines = [line for line in text.splitlines() if line.strip()]
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines]
    named = all(
        len(row) > 1 and re.fullmatch(r"[a-z]+[a-z-]*( \([A-Z][A-Za-z-]+\))?", row[0])
        for row, line in zip(cells, lines, strict=True)
        if not line.startswith(" ")
    )
    rows: list[str] = []
    for row, line in zip(cells, lines, strict=True):
        further = line.startswith(" ")
        first = ""
        if named:
            label = "" if further else f"<mtext>{html.escape(row.pop(0))}</mtext>"
            first = f'<mtd style="text-align: left">{label}{WIDE}</mtd>'
        content = WIDE.join(_Row(TOKEN.findall(cell), further).whole() for cell in row)
        indent = WIDE if further else ""
        rows.append(f'<mtr>{first}<mtd style="text-align: left">{indent}{content}</mtd></mtr>')
    table = f'<mtable displaystyle="true">{"".join(rows)}</mtable>'
    return f'<div class="formula"><math>{table}</math></div>'


def _is_word(token: str) -> bool:
    """Whether a token is a word of English or a name, and not a symbol or a function."""
    return token[:2].isalpha() and len(token) > 1 and token not in {*SYMBOLS, *FUNCTIONS}


class _Row:
    """Reads the tokens of a line from left to right."""

    def __init__(self, tokens: list[str], operand: bool = False) -> None:
        self.tokens = tokens
        self.at = 0
        self.operand = operand  # whether an operand stands before: an operator is then infix

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place] if 0 <= place < len(self.tokens) else ""

    def whole(self) -> str:
        parts: list[str] = []
        while self.at < len(self.tokens):
            parts.append(self.term())
        return "".join(parts)

    def term(self) -> str:
        """The next token with what is below and above it, or a space."""
        token = self.peek()
        if token.isspace():
            self.at += 1
            before, after = self.peek(-2), self.peek()
            infix = before in OPERATORS or (after in OPERATORS and self.operand)
            if not before or not after or (infix and before != ":"):
                return ""
            return BETWEEN_WORDS if _is_word(before) or _is_word(after) else THIN
        base = self.base(token)
        large = token in ("sum", "prod", "int")
        below = above = primes = ""
        while self.peek() in ("_", "^", "'"):
            sign = self.peek()
            self.at += 1
            if sign == "'":
                primes += PRIME
            elif sign == "_":
                below = self.script()
            else:
                above += self.script()
        if not below and not above:
            return base + primes
        below, above = f"<mrow>{below}</mrow>", f"<mrow>{above}</mrow>"
        kind = ("munder", "mover", "munderover") if large else ("msub", "msup", "msubsup")
        if below == "<mrow></mrow>":
            return f"<{kind[1]}>{base}{above}</{kind[1]}>" + primes
        if above == "<mrow></mrow>":
            return f"<{kind[0]}>{base}{below}</{kind[0]}>" + primes
        return f"<{kind[2]}>{base}{below}{above}</{kind[2]}>" + primes

    def base(self, token: str) -> str:
        """A token by itself."""
        before, self.operand = self.operand, token not in (*OPERATORS, "(", "[", ",")
        self.at += 1
        if token.startswith(("(Eq", "(section")):
            return f"{WIDE}<mtext>{token}</mtext>"
        if token in OPERATORS:
            form = "infix" if before else "prefix"
            space = ' lspace="0" rspace="0"' if token == "/" else ""
            return f'<mo form="{form}"{space}>{OPERATORS[token]}</mo>'
        if token in ("||", "|", "(", ")", "[", "]"):
            sign = "‖" if token == "||" else token
            return f'<mo stretchy="false" form="prefix" lspace="0" rspace="0">{sign}</mo>'
        if token == "...":
            return "<mo>…</mo>"
        if token in ("sum", "prod", "int"):
            self.operand = False
            return f"<mo>{SYMBOLS[token]}</mo>"
        if re.fullmatch(r"\d+/\d+", token):
            above, below = token.split("/")
            fraction = f"<mfrac><mn>{above}</mn><mn>{below}</mn></mfrac>"
            return f'<mstyle displaystyle="false">{fraction}</mstyle>'
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token in SYMBOLS:
            return f"<mi>{SYMBOLS[token]}</mi>"
        if token == "E" and self.expectation():
            self.operand = False
            return "<mi>𝔼</mi>"
        if token[0].isalpha():
            if len(token) > 1:
                self.operand = token not in (*FUNCTIONS, *JOINING)
                return f"<mi>{token.replace('_', ' ').replace(chr(39), '’')}</mi>"
            if self.peek()[:1].isdigit():  # k1
                self.at += 1
                return f"<msub><mi>{token}</mi><mn>{self.peek(-1)}</mn></msub>"
            return f"<mi>{token}</mi>"
        return f"<mo>{html.escape(token)}</mo>"

    def expectation(self) -> bool:
        """Whether the E that was just read is an expected value, and not an encoder."""
        rest = "".join(self.tokens[self.at :])
        return bool(
            re.match(r"(_(\([^()]*(\([^()]*\))?[^()]*\)|\w+)'*)?( (?!of|and|over)\S|\[|\|)", rest)
            or rest.startswith("(||")
        )

    def script(self) -> str:
        """What is below or above: a group in parentheses, or one token with its primes."""
        if self.peek() != "(":
            outer, self.operand = self.operand, False
            made = self.base(self.peek())
            self.operand = outer
            primes = 0
            while self.peek() == "'":
                primes, self.at = primes + 1, self.at + 1
            return made + PRIME * primes
        depth, start = 0, self.at
        while self.at < len(self.tokens):
            depth += {"(": 1, ")": -1}.get(self.peek(), 0)
            self.at += 1
            if not depth:
                break
        return _Row(self.tokens[start + 1 : self.at - 1]).whole()


CHARACTERS = (
    *range(0x20, 0x7F),
    *range(0x391, 0x3CA),
    0x3D5,
    0x210E,
    *range(0x1D434, 0x1D468),
    *range(0x1D6E2, 0x1D71C),
    0x1D53C,
    0x211D,
    *map(ord, "−∗∼≈≠≤≥←→↑↓⊤∥‖∣′…⋅∑∏∫∇∂∈∞√±×·’ˆ˜̂̃"),
)
"""What the formulas are made of: letters upright and italic, Greek, operators."""


def font() -> bytes:
    """The part of STIX Two Math (SIL Open Font License) that formulas need, in the format WOFF.

    A browser places what is below and above only as well as its font says how, and not every
    system has a font that does. This one comes with the package ziamath.
    """
    package = find_spec("ziamath")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the site's formulas need the font of the package ziamath")
    whole = TTFont(Path(package.origin).parent / "fonts" / "STIXTwoMath-Regular.ttf")
    options = Options(name_IDs=["*"], layout_features=["kern", "ssty", "dtls", "flac"])
    part = Subsetter(options)
    part.populate(unicodes=CHARACTERS)
    part.subset(whole)
    whole.flavor = "woff"
    stored = BytesIO()
    whole.save(stored)
    return stored.getvalue()
