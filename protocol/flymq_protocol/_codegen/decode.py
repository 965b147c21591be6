"""Emits the decoder of one layout.

The code walks `pos` through `buf`. A run of fixed-width fields is one `unpack_from`, and takes with it the first
byte of the varint that follows: a compact length or a tag count, of which nearly all fit one byte. Arrays whose
elements have a fixed stride go through `iter_unpack` and fall back to the general loop at the first element
with tagged fields.
"""

from dataclasses import dataclass, field

from ..layout import (
    ArrayLayout,
    FieldLayout,
    StructLayout,
    VariableLayout,
    WireType,
    has_records,
    length_type,
    wire_size_min,
)
from ..message import FieldSpec, Struct
from ..types import ZERO_UUID, Fixed, Records, String
from .source import Function, Module


def emit_decoder(module: Module, name: str, layout: StructLayout, versions: str) -> list[str]:
    """The lines of `def name(buffer)`."""
    emitter = _Decoder(module, views=has_records(layout))
    body = emitter.function
    body.line(f'"""{versions}."""')
    if emitter.views:
        body.line("buf = buffer if isinstance(buffer, memoryview) else memoryview(buffer)")
    else:
        # Indexing and slicing bytes is faster than a memoryview's, by more than the copy costs.
        body.line("buf = bytes(buffer)")
    body.line("size = len(buf)")
    body.line("pos = 0")
    head = len(body.lines)
    result = emitter.struct(layout)
    emitter.flush(last=True)
    if emitter.counts:
        body.lines.insert(head, f"    budget = {module.helper('ELEMENTS_MAX')}")
    for i, local in ((3, "pos"), (2, "size"), (1, "buf")):
        if not any(local in line for line in body.lines[i + 1 :]):
            del body.lines[i]
    body.line(f"return {result}")
    module.classes.add(layout.cls.__name__)
    return [f"def {name}(buffer: Buffer) -> {layout.cls.__name__}:", *body.lines]


@dataclass
class _Run:
    """Fixed-width values not yet read."""

    targets: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, target: str, code: str, size: int) -> None:
        self.targets.append(target)
        self.codes.append(code)
        self.size += size


class _Decoder:
    def __init__(self, module: Module, views: bool) -> None:
        self.module = module
        self.function = Function(module)
        self.views = views
        self.counts = False
        self.run = _Run()

    def flush(self, last: bool = False) -> None:
        """Read the run. `last`: nothing follows, so the position isn't needed."""
        run, self.run = self.run, _Run()
        if not run.targets:
            return
        if run.codes == ["B"]:
            self.function.line(f"{run.targets[0]} = buf[pos]")
        else:
            self.function.unpack(run.targets, f"{self.module.struct('unpack_from', run.codes)}(buf, pos)")
        if not last:
            self.function.line(f"pos += {run.size}")

    def struct(self, layout: StructLayout) -> str:
        """Read a struct; the name of the local that holds it."""
        out = self.function
        item = out.local("s")
        self.module.classes.add(layout.cls.__name__)
        out.line(f"{item} = {self.module.helper('new')}({layout.cls.__name__})")
        for spec in layout.absent:
            out.line(f"{item}.{spec.name} = {self.default(spec)}")
        for entry in layout.fields:
            self.field(entry, f"{item}.{entry.name}", layout)
        for entry in layout.tagged:
            out.line(f"{item}.{entry.name} = {self.default(entry.spec)}")
        out.line(f"{item}.unknown_tags = ()")
        if layout.flexible:
            self.tags(layout, item)
        return item

    def field(self, entry: FieldLayout, target: str, owner: StructLayout) -> None:
        label = f'"{entry.name}"'
        if isinstance(entry.type, Fixed):
            self.run.add(target, entry.type.code, entry.type.size)
        elif isinstance(entry.type, StructLayout):
            self.nested(entry.type, target, entry.nullable)
        elif isinstance(entry.type, VariableLayout):
            self.variable(entry.type, target, entry.nullable, label)
        else:
            self.array(entry.type, target, entry.nullable, label)

    def nested(self, layout: StructLayout, target: str, nullable: bool) -> None:
        out = self.function
        if not nullable:
            self.flush()
            item = self.struct(layout)
            self.flush()
            out.line(f"{target} = {item}")
            return
        marker = out.local("n")
        self.run.add(marker, "b", 1)
        self.flush()
        with out.block(f"if {marker} < 0:"):
            out.line(f"{target} = None")
        with out.block("else:"):
            item = self.struct(layout)
            self.flush()
            out.line(f"{target} = {item}")

    def length(self, type_: VariableLayout | ArrayLayout) -> str:
        """Read a length or count; the name of the local, still 1 too high where the layout is compact."""
        count = self.function.local("n")
        if type_.flexible:
            self.run.add(count, "B", 1)
            self.flush()
            string = isinstance(type_, VariableLayout) and type_.type is String
            rest = self.module.helper("long_string_varint" if string else "long_varint")
            with self.function.block(f"if {count} > 127:"):
                self.function.line(f"{count}, pos = {rest}(buf, pos, {count})")
        else:
            prefix = length_type(type_)
            self.run.add(count, prefix.code, prefix.size)
            self.flush()
        return count

    def variable(self, type_: VariableLayout, target: str, nullable: bool, label: str) -> None:
        out = self.function
        count = self.length(type_)
        less = " - 1" if type_.flexible else ""
        end = out.local("end")
        value = self.slice(type_, end)
        if nullable:
            with out.block(f"if {count} < {1 if type_.flexible else 0}:"):
                out.line(f"{target} = None")
            with out.block("else:"):
                out.line(f"{end} = pos + {count}{less}")
                with out.block(f"if {end} > size:"):
                    out.line(f"raise {self.module.helper('bad_length')}({label}, {count}{less})")
                out.line(f"{target} = {value}")
                out.line(f"pos = {end}")
            return
        out.line(f"{end} = pos + {count}{less}")
        with out.block(f"if not pos <= {end} <= size:"):
            out.line(f"raise {self.module.helper('bad_length')}({label}, {count}{less})")
        out.line(f"{target} = {value}")
        out.line(f"pos = {end}")

    def slice(self, type_: VariableLayout, end: str) -> str:
        if type_.type is String:
            # bytes have the fast decoder: str(view, "utf-8") takes twice as long, copy included.
            return f"buf[pos:{end}]{'.tobytes()' if self.views else ''}.decode()"
        if type_.type is Records or not self.views:
            return f"buf[pos:{end}]"
        return f"bytes(buf[pos:{end}])"

    def array(self, type_: ArrayLayout, target: str, nullable: bool, label: str) -> None:
        out = self.function
        count = self.length(type_)
        if type_.flexible:
            out.line(f"{count} -= 1")
        if nullable:
            with out.block(f"if {count} < 0:"):
                out.line(f"{target} = None")
            with out.block("else:"):
                self.elements(type_.element, target, count, label)
        else:
            self.elements(type_.element, target, count, label)

    def elements(self, element: WireType, target: str, count: str, label: str) -> None:
        out = self.function
        size_min = wire_size_min(element)
        times = f"{count} * {size_min}" if size_min > 1 else count
        with out.block(f"if not 0 <= {times} <= size - pos:"):
            out.line(f"raise {self.module.helper('bad_length')}({label}, {count})")
        self.spend(count)
        if isinstance(element, Fixed):
            self.fixed_elements(element, target, count)
            return
        items = out.local("a")
        out.line(f"{items}: list[{_python_type(element)}] = []")
        if isinstance(element, StructLayout) and all(isinstance(entry.type, Fixed) for entry in element.fields):
            self.strided(element, items, count)
            if element.flexible:
                with out.block(f"for _ in range({count} - len({items})):"):
                    self.element(element, items)
        else:
            with out.block(f"for _ in range({count}):"):
                self.element(element, items)
        out.line(f"{target} = {items}")

    def spend(self, count: str) -> None:
        self.counts = True
        self.function.line(f"budget -= {count}")
        with self.function.block("if budget < 0:"):
            self.function.line(f"raise {self.module.helper('too_many')}()")

    def fixed_elements(self, element: Fixed, target: str, count: str) -> None:
        out = self.function
        end = out.local("end")
        out.line(f"{end} = pos + {count} * {element.size}")
        if len(element.code) > 1:
            out.line(f"{target} = [bytes(buf[i : i + {element.size}]) for i in range(pos, {end}, {element.size})]")
        else:
            out.line(f'{target} = list(unpack_from(f">{{{count}}}{element.code}", buf, pos))')
        out.line(f"pos = {end}")

    def element(self, element: WireType, items: str) -> None:
        out = self.function
        if isinstance(element, StructLayout):
            item = self.struct(element)
            self.flush()
        else:
            assert isinstance(element, VariableLayout)
            item = out.local("e")
            self.variable(element, item, False, '"element"')
        out.line(f"{items}.append({item})")

    def strided(self, element: StructLayout, items: str, count: str) -> None:
        """Elements of fixed width, up to the first that has tagged fields."""
        out = self.function
        stride = wire_size_min(element)
        codes = [entry.type.code for entry in element.fields if isinstance(entry.type, Fixed)]
        names = [out.local("v") for _ in codes]
        tag = out.local("t")
        targets = [*names, tag] if element.flexible else names
        self.module.classes.add(element.cls.__name__)
        unpack = self.module.struct("iter_unpack", codes + ["B"] * element.flexible)
        source = f"{unpack}(buf[pos : pos + {count} * {stride}])"
        item = out.local("s")
        with out.block(f"for {', '.join(targets)}{',' if len(targets) == 1 else ''} in {source}:"):
            if element.flexible:
                with out.block(f"if {tag}:"):
                    out.line("break")
            out.line(f"{item} = {self.module.helper('new')}({element.cls.__name__})")
            for entry, name in zip(element.fields, names, strict=True):
                out.line(f"{item}.{entry.name} = {name}")
            for spec in (*element.absent, *(entry.spec for entry in element.tagged)):
                out.line(f"{item}.{spec.name} = {self.default(spec)}")
            out.line(f"{item}.unknown_tags = ()")
            out.line(f"{items}.append({item})")
        out.line(f"pos += len({items}) * {stride}" if element.flexible else f"pos += {count} * {stride}")

    def tags(self, layout: StructLayout, item: str) -> None:
        out = self.function
        count = out.local("t")
        self.run.add(count, "B", 1)
        self.flush()
        helper = self.module.helper
        with out.block(f"if {count}:"):
            if not layout.tagged:
                call = f"{helper('unknown_tags')}(buf, pos, {count}, budget)"
                self.counts = True
                out.line(f"{item}.unknown_tags, pos, budget = {call}")
                return
            out.line(f"{count}, pos, budget = {helper('tag_count')}(buf, pos, {count}, budget)")
            seen, unknown, tag, end = (out.local(name) for name in ("seen", "u", "tag", "end"))
            out.line(f"{seen} = 0")
            out.line(f"{unknown}: list[tuple[int, bytes]] = []")
            with out.block(f"for _ in range({count}):"):
                out.line(f"{tag}, pos, {end} = {helper('tag_head')}(buf, pos)")
                for i, entry in enumerate(layout.tagged):
                    with out.block(f"{'el' if i else ''}if {tag} == {entry.spec.tag}:"):
                        self.known_tag(entry, item, layout, seen, 1 << i, end)
                with out.block("else:"):
                    out.line(f"{unknown}.append(({tag}, bytes(buf[pos:{end}])))")
                    out.line(f"pos = {end}")
            out.line(f"{item}.unknown_tags = tuple({unknown})")

    def known_tag(self, entry: FieldLayout, item: str, layout: StructLayout, seen: str, bit: int, end: str) -> None:
        out = self.function
        bad_tag = self.module.helper("bad_tag")
        with out.block(f"if {seen} & {bit}:"):
            out.line(f'raise {bad_tag}("{entry.name}", "comes twice")')
        out.line(f"{seen} |= {bit}")
        self.field(entry, f"{item}.{entry.name}", layout)
        self.flush()
        with out.block(f"if pos != {end}:"):
            out.line(f'raise {bad_tag}("{entry.name}", "does not fill its size")')

    def default(self, spec: FieldSpec) -> str:
        value = spec.default_value()
        if isinstance(value, Struct):
            if spec.default is value:
                return self.module.default(type(value).__name__)
            self.module.classes.add(type(value).__name__)
            return f"{type(value).__name__}()"
        return "ZERO_UUID" if value == ZERO_UUID else repr(value).replace("'", '"')


def _python_type(element: WireType) -> str:
    if isinstance(element, StructLayout):
        return element.cls.__name__
    assert isinstance(element, VariableLayout)
    return "str" if element.type is String else "bytes"
