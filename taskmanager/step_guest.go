package taskmanager

import (
	"cmp"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// step is one operator of a chain, or guest functions composed into one.
type step interface {
	// process takes a batch. What it makes of it has passed the steps behind when it returns.
	process(b *batch) error
	// advance says that the watermark of the step's input is now this. While it answers more, it has emitted a part of
	// what that brings about and is called again, with nothing in between, and the watermark has not passed it.
	advance(watermark int64) (more bool, err error)
}

// saver is a step that has something to store before a snapshot.
type saver interface{ save() error }

// starter is a step that does something before the first batch.
type starter interface{ start() error }

// clocked is a step with timers of processing time.
type clocked interface {
	// wake is when tick is to be called, the zero time for never.
	wake() time.Time
	// tick does what is due. While it answers more, it has done a part of it and is called again.
	tick(now time.Time) (more bool, err error)
}

// outlet is where the records of one output of an operator go.
type outlet struct {
	steps []step
}

func (o *outlet) emit(b *batch) error {
	for _, s := range o.steps {
		if err := s.process(b); err != nil {
			return err
		}
	}
	return nil
}

// emitter passes on what a guest emits, output by output.
type emitter struct {
	outlets []outlet // by output number
	copied  bool     // the instance is called again by a step behind: what it has emitted must outlive that
	out     batch
	memory  []byte  // of copies
	made    []int64 // records so far, by output
	from    []string
	keys    []keyFunction  // by output, that made the keys of its records
	wrong   bool           // one of those made a key that cannot be
	kind    abi.ChangeKind // of all that is passed on
	kinds   []byte         // memory of a column of it
}

func (m *emitter) emit(effects *host.Effects) error {
	emits := effects.Emits
	if m.copied {
		return m.emitCopies(emits)
	}
	for i := range emits {
		if err := m.pass(emits[i].Output, &emits[i].Batch, emits[i].Bytes); err != nil {
			return err
		}
	}
	return nil
}

// emitAs is emit of results that are a change of that kind, but for those that the guest has marked itself.
func (m *emitter) emitAs(effects *host.Effects, kind abi.ChangeKind) error {
	m.kind = kind
	err := m.emit(effects)
	m.kind = abi.Insert
	return err
}

// emitCopies copies all batches before the first is passed on.
func (m *emitter) emitCopies(emits []host.Emit) error {
	type place struct {
		output  uint32
		at, end int
	}
	var places []place
	size := 0
	for _, e := range emits {
		places = append(places, place{e.Output, size, size + len(e.Bytes)})
		size += (len(e.Bytes) + 7) &^ 7
	}
	if len(m.memory) < size {
		m.memory = abi.AlignedBytes(2 * size)
	}
	for i, p := range places {
		copy(m.memory[p.at:p.end], emits[i].Bytes)
	}
	for _, p := range places {
		var b abi.Batch
		if err := b.Parse(m.memory[p.at:p.end]); err != nil {
			return err
		}
		if err := m.pass(p.output, &b, m.memory[p.at:p.end]); err != nil {
			return err
		}
	}
	return nil
}

func (m *emitter) pass(output uint32, b *abi.Batch, encoded []byte) error {
	if err := m.keys[output].check(b); err != nil {
		m.wrong = true
		return err
	}
	m.out.Batch, m.out.encoded = *b, encoded
	if m.kind != abi.Insert {
		m.kinds = m.kinds[:0]
		for i := range b.N {
			kind := byte(m.kind)
			if b.Kinds != nil && b.Kinds[i] != byte(abi.Insert) {
				kind = b.Kinds[i]
			}
			m.kinds = append(m.kinds, kind)
		}
		m.out.Columns, m.out.Kinds, m.out.encoded = b.Columns|abi.ColumnKinds, m.kinds, nil
	}
	m.out.from, m.out.first = m.from[output], m.made[output]+1
	m.made[output] += int64(b.N)
	return m.outlets[output].emit(&m.out)
}

// guestStep runs the functions of a handle on each batch.
type guestStep struct {
	handle   *handle
	header   abi.CallHeader
	time     *taskTime
	input    int64     // watermark of the input
	passed   int64     // behind functions that leave timestamps alone
	assigned int64     // behind the timestamp function
	assigner *assigner // nil without a timestamp function
	emitter  emitter
	// batches until the key functions are checked again
	unchecked int          // batches before the next whose keys are
	apart     int          // how many lay between the last two
	encoder   *abi.Builder // of batches that come neither encoded nor in a builder, and of parts of batches
	encoded   host.Bytes   // an interface value of the field itself allocates nothing
}

func (s *guestStep) process(b *batch) error {
	if b.N == 0 {
		return nil
	}
	s.header.Watermark, s.header.ProcessingTime, s.header.Split = s.input, s.time.ms, b.split
	if err := s.checkKeys(b); err != nil {
		return err
	}
	effects, err := s.handle.process(&s.header, s.inputOf(b))
	if err == nil {
		return s.apply(b, effects)
	}
	return s.handle.retry(err, b.N, func(lo, hi int) error { return s.part(b, lo, hi) }, func(i int) poisoned {
		u := operator.Unit{Row: i, Data: recordBytes(&b.Batch, i)}
		if b.KeyOffs != nil {
			u.Key = b.Key(i)
		}
		return recordUnit(b, &u)
	})
}

// inputOf is the whole batch, copied as little as possible.
func (s *guestStep) inputOf(b *batch) host.Input {
	switch {
	case b.encoded != nil:
		s.encoded = b.encoded
		return &s.encoded
	case b.builder != nil:
		return b.builder
	}
	return s.inputPart(b, 0, b.N)
}

func (s *guestStep) inputPart(b *batch, lo, hi int) host.Input {
	if s.encoder == nil || s.encoder.Columns() != b.Columns {
		s.encoder = abi.NewBuilder(b.Columns)
	}
	s.encoder.Reset()
	s.encoder.AppendRange(&b.Batch, lo, hi, b.Hashes)
	return s.encoder
}

// part processes some of a batch that has killed the guest.
func (s *guestStep) part(b *batch, lo, hi int) error {
	effects, err := s.handle.process(&s.header, s.inputPart(b, lo, hi))
	if err != nil {
		return err
	}
	return s.apply(b, effects)
}

func (s *guestStep) apply(b *batch, effects *host.Effects) error {
	if s.assigner != nil && effects.HasWatermark {
		s.assigner.observe(b.lane, effects.Watermark)
	}
	s.emitter.out.lane, s.emitter.out.split = b.lane, b.split
	err := s.emitter.emit(effects)
	if s.emitter.wrong {
		s.unchecked = 0
		return cmp.Or(s.checkKeys(b), err) // which shows the record, too
	}
	return err
}

func (s *guestStep) advance(watermark int64) (bool, error) {
	s.input, s.passed = watermark, watermark
	switch {
	case s.assigner == nil:
	case watermark == abi.MaxTime:
		s.assigned = watermark
	default:
		s.assigned = s.assigner.watermark()
	}
	return false, nil
}

// recordBytes is what is shown of a record.
func recordBytes(b *abi.Batch, i int) []byte {
	if b.ValueOffs != nil {
		return b.Value(i)
	}
	if b.KeyOffs != nil {
		return b.Key(i)
	}
	return nil
}
