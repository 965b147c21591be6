"""Source text under construction: indentation, line wrapping as ruff formats it, and precompiled structs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

LINE_LENGTH: Final = 120


class Module:
    """What the functions of one generated module share: the precompiled structs and shared defaults they name."""

    def __init__(self) -> None:
        self.structs: dict[str, str] = {}
        self.defaults: set[str] = set()
        self.runtime: set[str] = set()
        self.classes: set[str] = set()

    def struct(self, method: str, codes: Sequence[str]) -> str:
        """The name of a bound method (`unpack_from`, `iter_unpack`, `pack`) of a precompiled struct."""
        prefix = {"unpack_from": "_unpack", "iter_unpack": "_iter", "pack": "_pack"}[method]
        text = "".join(codes)
        name = f"{prefix}_{text.replace('?', 'o')}"
        self.structs[name] = f'Struct(">{text}").{method}'
        return name

    def helper(self, name: str) -> str:
        self.runtime.add(name)
        return name

    def default(self, class_name: str) -> str:
        self.defaults.add(class_name)
        self.classes.add(class_name)
        return f"_DEFAULT_{class_name}"


class Function:
    """The body of one function. Names from `local` are unique in it."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self._depth = 1
        self._locals = 0

    def local(self, prefix: str) -> str:
        self._locals += 1
        return f"{prefix}{self._locals}"

    def line(self, text: str) -> None:
        self.lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        self.line(header)
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def condition(self, terms: Sequence[str]) -> Iterator[None]:
        """`if a or b:`, wrapped when it is too long for one line."""
        word = "or"
        if len(terms) == 1 and not self._fits(f"if {terms[0]}:"):
            word, terms = "and", terms[0].split(" and ")
        text = f"if {f' {word} '.join(terms)}:"
        if self._fits(text):
            self.line(text)
        else:
            self.line("if (")
            for i, term in enumerate(terms):
                self.line("    " + (f"{word} " if i else "") + term)
            self.line("):")
        self._depth += 1
        yield
        self._depth -= 1

    def append_call(self, out: str, function: str, arguments: Sequence[str]) -> None:
        """`out.append(function(arguments))`, wrapped when it is too long for one line."""
        call = f"{function}({', '.join(arguments)})"
        if self._fits(f"{out}.append({call})"):
            self.line(f"{out}.append({call})")
            return
        with self.block(f"{out}.append("):
            if self._fits(call):
                self.line(call)
            elif 4 * (self._depth + 1) + len(", ".join(arguments)) <= LINE_LENGTH:
                with self.block(f"{function}("):
                    self.line(", ".join(arguments))
                self.line(")")
            else:
                self._one_per_line(f"{function}(", arguments, ")")
        self.line(")")

    def unpack(self, targets: Sequence[str], value: str) -> None:
        """`a, b = value`; `(a,) = value` for one target."""
        if len(targets) == 1:
            self.line(f"({targets[0]},) = {value}")
        elif self._fits(text := f"{', '.join(targets)} = {value}"):
            self.line(text)
        else:
            self._one_per_line("(", targets, f") = {value}")

    def _fits(self, text: str) -> bool:
        return 4 * self._depth + len(text) <= LINE_LENGTH

    def _one_per_line(self, head: str, items: Sequence[str], tail: str) -> None:
        self.line(head)
        self.lines += ["    " * (self._depth + 1) + item + "," for item in items]
        self.line(tail)
