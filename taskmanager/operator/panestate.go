package operator

import (
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/failpoint"
)

// What a snapshot has of panes besides what lies in them: how far they have fired.

// firedName is the name in the operator's own scope of the watermark to which windows have fired, and untilName that of the one
// that they were firing to.
const (
	firedName = "fired"
	untilName = "until"
)

// Save implements Operator.
func (p *panes) Save() error {
	for _, o := range p.open {
		if err := p.emitted.settle(o.namespace(), o.table, &o.scanning); err != nil {
			return err
		}
	}
	if p.slider != nil {
		if err := p.slider.settle(); err != nil {
			return err
		}
	}
	if p.window == nil {
		return nil
	}
	if p.midway() { // else an older one says nothing any more
		if err := p.until.save(p.store, p.spec.Operator, untilName); err != nil {
			return err
		}
	}
	return p.progress.save(p.store, p.spec.Operator, firedName)
}

// restore finds the panes that a snapshot held, and how far they had fired.
func (p *panes) restore(groups int) error {
	if err := p.emitted.restore(p.store, p.spec); err != nil {
		return err
	}
	namespaces, err := p.store.Namespaces(p.spec)
	if err != nil {
		return err
	}
	for _, ns := range namespaces {
		start, end := abi.MinTime, abi.MaxTime
		if p.window != nil {
			start, end = int64(ns), after(int64(ns), p.window.slice)
		}
		if err := p.add(len(p.open), start, end, ns); err != nil {
			return err
		}
	}
	return p.restoreFired(groups)
}

// restoreFired finds how far each subtask had fired.
func (p *panes) restoreFired(groups int) error {
	if p.window == nil || failpoint.Planted(failpoint.FiredAgain) {
		return nil
	}
	if err := p.restorePassed(groups); err != nil {
		return err
	}
	for _, o := range p.open {
		o.done = !p.window.sliding() && o.end-1 <= p.passed
	}
	return nil
}

// restorePassed finds how far each subtask had fired.
func (p *panes) restorePassed(groups int) (err error) {
	if p.until, err = restoreProgress(p.store, p.spec.Operator, untilName, groups); err != nil {
		return err
	}
	p.progress, err = restoreProgress(p.store, p.spec.Operator, firedName, groups)
	return err
}
