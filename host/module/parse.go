package module

import (
	"bytes"
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// Parse reads a core WebAssembly 2.0 binary whole, function bodies included. What it allocates is bounded by a small
// multiple of wasm's size. Errors are of type *Error.
func Parse(wasm []byte) (*Module, error) {
	if err := checkHeader(wasm); err != nil {
		return nil, err
	}
	p := &parser{m: &Module{Bytes: wasm}}
	if err := p.split(); err != nil {
		return nil, err
	}
	if err := p.decode(); err != nil {
		return nil, err
	}
	if err := p.bodies(); err != nil {
		return nil, err
	}
	return p.m, nil
}

const headerSize = 8

func checkHeader(wasm []byte) error {
	magic := []byte("\x00asm")
	switch {
	case len(wasm) == 0:
		return refuse("module", "the file is empty")
	case !bytes.HasPrefix(wasm, magic[:min(4, len(wasm))]):
		e := refuse("module", "not a WebAssembly module: it begins with %q (expected %q)", wasm[:min(4, len(wasm))], magic)
		if bytes.HasPrefix(bytes.TrimLeft(wasm[:min(64, len(wasm))], " \t\r\n"), []byte("(module")) {
			return e.hint("this is the text format: assemble it with wat2wasm")
		}
		return e.hint("give the .wasm file that the compiler wrote")
	case len(wasm) < headerSize:
		return refuse("module", "truncated after %d bytes, in its header", len(wasm)).hint("build or upload the module again")
	case bytes.Equal(wasm[4:8], []byte{0x0d, 0, 1, 0}):
		return refuse("module", "a WebAssembly component; Wasmill runs core modules").
			hint("build for wasm32-wasip1, for example: cargo build --target wasm32-wasip1")
	case !bytes.Equal(wasm[4:8], []byte{1, 0, 0, 0}):
		return refuse("module", "binary version % x (expected 01 00 00 00)", wasm[4:8]).
			hint("build a core WebAssembly module, for example for wasm32-wasip1")
	}
	return nil
}

// parser fills m. It exists only during Parse.
type parser struct {
	m         *Module
	funcTypes []uint32 // function section
	funcs     uint32   // functions, imported and defined
	imported  uint32   // functions imported
	code      *Section
	names     []byte
}

// split finds the sections without looking into them.
func (p *parser) split() error {
	r := &reader{p: p.m.Bytes, at: headerSize, end: len(p.m.Bytes), what: "module"}
	last := SectionCustom
	for r.left() > 0 {
		at := r.at
		id := SectionID(r.byte("a section"))
		size := r.u32("the size of section " + id.String())
		if r.err != nil {
			return r.err
		}
		if id > SectionDataCount {
			r.fail(at, "unknown section %s", id)
			return r.err.hint(hintProposal)
		}
		if int64(size) > int64(r.left()) {
			return refuse(fmt.Sprintf("%s section, byte %#x", id, at), "the file ends %d bytes into a section of %d bytes",
				r.left(), size).hint("the module is truncated: build or upload it again")
		}
		if id != SectionCustom {
			if id.order() <= last.order() && last != SectionCustom {
				r.fail(at, "section %s behind section %s", id, last)
				return r.err
			}
			last = id
		}
		p.m.Sections = append(p.m.Sections, Section{ID: id, Start: r.at, End: r.at + int(size)})
		r.at += int(size)
	}
	return nil
}

// decode reads all sections but the bodies of functions, which need the others.
func (p *parser) decode() error {
	for i := range p.m.Sections {
		s := &p.m.Sections[i]
		r := &reader{p: p.m.Bytes, at: s.Start, end: s.End, what: s.ID.String() + " section"}
		switch s.ID {
		case SectionCustom:
			p.custom(r)
		case SectionType:
			p.types(r)
		case SectionImport:
			p.imports(r)
		case SectionFunction:
			p.functions(r)
		case SectionTable:
			p.tables(r)
		case SectionMemory:
			p.memories(r)
		case SectionGlobal:
			p.globals(r)
		case SectionExport:
			p.exports(r)
		case SectionStart:
			p.start(r)
		case SectionElement:
			p.elements(r)
		case SectionDataCount:
			n := r.u32("the number of data segments")
			p.m.DataCount = &n
		case SectionCode:
			p.code = s
			continue
		case SectionData:
			p.dataSegments(r)
		}
		if r.err == nil && r.left() > 0 {
			r.fail(r.at, "%d bytes behind the section's last item", r.left())
		}
		if r.err != nil {
			return r.err
		}
	}
	if p.m.DataCount != nil && int(*p.m.DataCount) != len(p.m.Data) {
		return refuse("data count section", "%d segments announced, %d given", *p.m.DataCount, len(p.m.Data))
	}
	p.readNames()
	return nil
}

func (p *parser) custom(r *reader) {
	name := r.name("the section's name")
	data := r.p[r.at:r.end]
	r.at = r.end
	if r.err != nil {
		return
	}
	p.m.Customs = append(p.m.Customs, Custom{Name: name, Data: data})
	switch name {
	case abi.ManifestSection:
		if p.m.Manifest != nil {
			r.fail(r.at, "a second section %s", name)
			return
		}
		p.m.Manifest = data
	case "name":
		if p.names != nil {
			r.fail(r.at, "a second section %s", name)
			return
		}
		p.names = data
	}
}
