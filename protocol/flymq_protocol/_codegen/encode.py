"""Emits the encoder of one layout.

The code appends pieces to `out`. As in the decoder, a run of fixed-width values is one `pack`, together with the
one-byte varint that nearly always follows it. Messages with records flush `out` into `parts` at each records
field and hand the buffer over as it is.
"""

from dataclasses import dataclass, field

from ..layout import ArrayLayout, FieldLayout, StructLayout, VariableLayout, WireType, has_records, length_type
from ..message import FieldSpec, Struct
from ..types import ZERO_UUID, Array, Fixed, Records, String, Uuid
from .source import Function, Module

_LINE_MAX = 120


def emit_encoder(module: Module, name: str, layout: StructLayout, versions: str) -> list[str]:
    """The lines of `def name(message)`."""
    emitter = _Encoder(module)
    body = emitter.function
    body.line(f'"""{versions}."""')
    records = has_records(layout)
    if records:
        body.line("parts: list[bytes | memoryview] = []")
    body.line("out: list[bytes] = []")
    emitter.struct(layout, "message")
    emitter.flush()
    if records:
        body.line('parts.append(b"".join(out))')
        body.line("return parts")
    else:
        body.line('return [b"".join(out)]')
    module.classes.add(layout.cls.__name__)
    head = f"def {name}(message: {layout.cls.__name__}) -> list[bytes | memoryview]:"
    if len(head) > _LINE_MAX:
        head = head.replace("(", "(\n    ", 1).replace(")", "\n)", 1)
    return [head, *body.lines]


@dataclass
class _Run:
    """Fixed-width values not yet written."""

    values: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def add(self, value: str, code: str) -> None:
        self.values.append(value)
        self.codes.append(code)


class _Encoder:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.function = Function(module)
        self.run = _Run()
        self.out = "out"

    def flush(self) -> None:
        run, self.run = self.run, _Run()
        self.write(run)

    def write(self, run: _Run) -> None:
        if run.values == ["0"] and run.codes == ["B"]:
            self.function.line(f'{self.out}.append(b"\\x00")')
        elif run.values:
            self.function.append_call(self.out, self.module.struct("pack", run.codes), run.values)

    def struct(self, layout: StructLayout, item: str) -> None:
        """Write a struct. Its run stays open if it isn't flexible."""
        out = self.function
        for spec in layout.absent:
            if not spec.ignorable:
                with out.condition([self.differs(spec, item)]):
                    out.line(f'raise {self.module.helper("absent_value")}("{spec.name}")')
        if not layout.flexible:
            with out.block(f"if {item}.unknown_tags:"):
                out.line(f'raise {self.module.helper("absent_value")}("unknown_tags")')
        for entry in layout.fields:
            self.field(entry, f"{item}.{entry.name}")
        if layout.flexible:
            self.tags(layout, item)

    def field(self, entry: FieldLayout, source: str) -> None:
        if isinstance(entry.type, Fixed):
            self.fixed(entry.type, source, entry.name)
        elif isinstance(entry.type, StructLayout):
            self.nested(entry, entry.type, source)
        else:
            self.nullable(entry, entry.type, source)

    def fixed(self, type_: Fixed, source: str, label: str) -> None:
        if type_ is Uuid:
            # `16s` would pad or cut without a word.
            with self.function.block(f"if len({source}) != 16:"):
                self.function.line(f'raise {self.module.helper("bad_value")}("{label}", "is not 16 bytes")')
        self.run.add(source, type_.code)

    def nested(self, entry: FieldLayout, layout: StructLayout, source: str) -> None:
        out = self.function
        item = out.local("s")
        out.line(f"{item} = {source}")
        if not entry.nullable:
            if entry.spec.nullable is not None:
                self.refuse_null(entry, item)
            self.struct(layout, item)
            return
        self.flush()
        with out.block(f"if {item} is None:"):
            out.line(f'{self.out}.append(b"\\xff")')
        with out.block("else:"):
            self.run.add("1", "b")
            self.struct(layout, item)
            self.flush()

    def refuse_null(self, entry: FieldLayout, value: str) -> None:
        with self.function.block(f"if {value} is None:"):
            self.function.line(f'raise {self.module.helper("null_value")}("{entry.name}")')

    def nullable(self, entry: FieldLayout, type_: VariableLayout | ArrayLayout, source: str) -> None:
        """Write a string, byte string, records or array that may be null."""
        out = self.function
        value = out.local("v")
        out.line(f"{value} = {source}")
        if not entry.nullable:
            # Python's type has None where any version has; records default to it.
            if entry.spec.nullable is not None or entry.spec.default is None:
                self.refuse_null(entry, value)
            self.value(type_, value, entry.name)
            return
        self.flush()
        with out.block(f"if {value} is None:"):
            null = b"\0" if type_.flexible else b"\xff" * length_type(type_).size
            out.line(f"{self.out}.append({_literal(null)})")
        with out.block("else:"):
            self.value(type_, value, entry.name)
            self.flush()

    def value(self, type_: VariableLayout | ArrayLayout, value: str, label: str) -> None:
        if isinstance(type_, ArrayLayout):
            self.array(type_, value, label)
        elif type_.type is String:
            data = self.function.local("b")
            self.function.line(f"{data} = {value}.encode()")
            self.length(type_, data, label)
            self.function.line(f"{self.out}.append({data})")
        else:
            self.length(type_, value, label)
            if type_.type is Records:
                self.function.line(f'parts.append(b"".join({self.out}))')
                self.function.line(f"parts.append(memoryview({value}) if isinstance({value}, bytearray) else {value})")
                self.function.line(f"{self.out}.clear()")
            else:
                self.function.line(f"{self.out}.append({value})")

    def length(self, type_: VariableLayout | ArrayLayout, value: str, label: str) -> None:
        """Write the run and the length of `value`."""
        out = self.function
        if not type_.flexible:
            self.run.add(f"len({value})", length_type(type_).code)
            self.flush()
            return
        count = out.local("n")
        out.line(f"{count} = len({value}) + 1")
        short, long = _Run([*self.run.values, count], [*self.run.codes, "B"]), self.run
        self.run = _Run()
        with out.block(f"if {count} < 128:"):
            self.write(short)
        with out.block("else:"):
            if isinstance(type_, VariableLayout) and type_.type is String:
                with out.block(f"if {count} > {self.module.helper('STRING_BYTES_MAX')} + 1:"):
                    out.line(f'raise {self.module.helper("bad_value")}("{label}", "is above 32767 bytes")')
            self.write(long)
            out.line(f"{self.out}.append({self.module.helper('pack_varint')}({count}))")

    def array(self, type_: ArrayLayout, value: str, label: str) -> None:
        out = self.function
        element = type_.element
        self.length(type_, value, label)
        if isinstance(element, Fixed) and element is not Uuid:
            out.line(f'{self.out}.append(pack(f">{{len({value})}}{element.code}", *{value}))')
            return
        item = out.local("e")
        with out.block(f"for {item} in {value}:"):
            self.element(element, item, label)
            self.flush()

    def element(self, element: WireType, item: str, label: str) -> None:
        if isinstance(element, StructLayout):
            self.struct(element, item)
        elif isinstance(element, Fixed):
            self.fixed(element, item, label)
        else:
            self.value(element, item, label)

    def tags(self, layout: StructLayout, item: str) -> None:
        """Write the tagged fields that have something to say: mostly none, a zero byte that ends the run."""
        out = self.function
        conditions = [f"{item}.unknown_tags", *(self.may_differ(entry.spec, item) for entry in layout.tagged)]
        run, self.run = self.run, _Run()
        with out.condition(conditions):
            self.write(run)
            self.tag_block(layout, item)
        with out.block("else:"):
            self.write(_Run([*run.values, "0"], [*run.codes, "B"]))

    def tag_block(self, layout: StructLayout, item: str) -> None:
        out = self.function
        if not layout.tagged:
            out.line(f"{self.out}.append({self.module.helper('pack_tags')}([], {item}.unknown_tags))")
            return
        fields = out.local("tags")
        out.line(f"{fields}: list[tuple[int, bytes]] = []")
        for entry in layout.tagged:
            with out.condition([self.differs(entry.spec, item)]):
                piece = out.local("out")
                out.line(f"{piece}: list[bytes] = []")
                outer, self.out = self.out, piece
                self.field(entry, f"{item}.{entry.name}")
                self.flush()
                self.out = outer
                out.line(f'{fields}.append(({entry.spec.tag}, b"".join({piece})))')
        out.line(f"{self.out}.append({self.module.helper('pack_tags')}({fields}, {item}.unknown_tags))")

    def may_differ(self, spec: FieldSpec, item: str) -> str:
        """As `differs`, but cheap for a shared default: true for another object with default values, too."""
        return self.differs(spec, item).partition(" and ")[0]

    def differs(self, spec: FieldSpec, item: str) -> str:
        """A condition: the field isn't at its default."""
        source = f"{item}.{spec.name}"
        value = spec.default_value()
        if value is None:
            return f"{source} is not None"
        if isinstance(spec.type, Array):
            return f"{source} != []"
        if isinstance(value, Struct):
            name = type(value).__name__
            self.module.classes.add(name)
            if spec.default is not value:
                return f"{source} != {name}()"
            shared = self.module.default(name)
            return f"{source} is not {shared} and {source} != {shared}"
        if value is False:
            return source
        if value is True:
            return f"not {source}"
        return f"{source} != {'ZERO_UUID' if value == ZERO_UUID else _literal(value)}"


def _literal(value: object) -> str:
    text = repr(value)
    return text if '"' in text else text.replace("'", '"')
