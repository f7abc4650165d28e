package meter

import "github.com/wasmill/wasmill/host/module"

// counter writes the code that counts, into one function. Fuel is in the global; while purse is set, in a local of the
// function, and the global is stale: a loop then touches no memory to count. The local goes back to the global before
// anything runs that may look there, and wherever the function is left.
//
// The call of quantum must cost the way past it nothing. The engine spills what lives across a call, so where a loop
// jumps back the call does not fall through to the jump: it does its own.
type counter struct {
	asm
	fuel, depth uint32 // globals
	quantum     uint32 // function
	purse       uint32 // local
	hasPurse    bool
}

// charge is for any place:
//
//	fuel -= weight; if fuel < 0 { fuel = quantum(0) }
func (c *counter) charge(weight int64) {
	c.fuelGet()
	c.i64(weight)
	c.chargeStack()
}

// chargeOnly is charge without the question: somewhere a cycle asks.
func (c *counter) chargeOnly(weight int64) {
	c.fuelGet()
	c.i64(weight)
	c.op(opI64Sub)
	c.fuelSet()
}

// chargeStack is the rest of charge: fuel and the amount are on the stack.
func (c *counter) chargeStack() {
	c.take()
	c.ask()
	c.fuelSet()
	c.end()
}

// chargeBack is for a jump back to the loop at depth, which it leaves to follow:
//
//	fuel -= weight; if fuel < 0 { fuel = quantum(0); br loop }
func (c *counter) chargeBack(weight int64, depth uint32) {
	c.fuelGet()
	c.i64(weight)
	c.take()
	c.ask()
	c.fuelSet()
	c.op(module.OpBr, depth+1)
	c.end()
}

// chargeHeader is for the begin of a loop without parameters. What it jumps back to charges again, hence the addition:
//
//	fuel -= weight; if fuel < 0 { fuel = quantum(0) + weight; br loop }
func (c *counter) chargeHeader(weight int64) {
	c.fuelGet()
	c.i64(weight)
	c.take()
	c.ask()
	c.i64(weight)
	c.op(opI64Add)
	c.fuelSet()
	c.op(module.OpBr, 1)
	c.end()
}

// take subtracts and opens the if.
func (c *counter) take() {
	c.op(opI64Sub)
	if c.hasPurse {
		c.op(module.OpLocalTee, c.purse)
	} else {
		c.op(module.OpGlobalSet, c.fuel)
		c.op(module.OpGlobalGet, c.fuel)
	}
	c.i64(0)
	c.op(opI64LtS)
	c.begin(module.OpIf)
}

// ask leaves quantum's answer on the stack.
func (c *counter) ask() {
	c.putBack()
	c.i32(ReasonFuel)
	c.op(module.OpCall, c.quantum)
}

func (c *counter) fuelGet() {
	if c.hasPurse {
		c.get(c.purse)
	} else {
		c.op(module.OpGlobalGet, c.fuel)
	}
}

func (c *counter) fuelSet() {
	if c.hasPurse {
		c.set(c.purse)
	} else {
		c.op(module.OpGlobalSet, c.fuel)
	}
}

// putBack makes the global true; takeOut is for behind what may have changed it.
func (c *counter) putBack() {
	if c.hasPurse {
		c.get(c.purse)
		c.op(module.OpGlobalSet, c.fuel)
	}
}

func (c *counter) takeOut() {
	if c.hasPurse {
		c.op(module.OpGlobalGet, c.fuel)
		c.set(c.purse)
	}
}

// enter is charge, and counts a call in depth. One branch asks for both:
//
//	fuel -= weight; depth -= frame
//	if (fuel | depth) < 0 { if depth < 0 { quantum(1); unreachable }; fuel = quantum(0) }
func (c *counter) enter(weight int64, frame int) {
	c.fuelGet()
	c.i64(weight)
	c.op(opI64Sub)
	if c.hasPurse {
		c.op(module.OpLocalTee, c.purse)
	} else {
		c.op(module.OpGlobalSet, c.fuel)
		c.op(module.OpGlobalGet, c.fuel)
	}
	c.op(module.OpGlobalGet, c.depth)
	c.i64(int64(frame))
	c.op(opI64Sub)
	c.op(module.OpGlobalSet, c.depth)
	c.op(module.OpGlobalGet, c.depth)
	c.op(opI64Or)
	c.i64(0)
	c.op(opI64LtS)
	c.begin(module.OpIf)
	c.op(module.OpGlobalGet, c.depth)
	c.i64(0)
	c.op(opI64LtS)
	c.begin(module.OpIf)
	c.putBack()
	c.i32(ReasonStack)
	c.op(module.OpCall, c.quantum)
	c.op(module.OpDrop)
	c.op(module.OpUnreachable)
	c.end()
	c.ask()
	c.fuelSet()
	c.end()
}

// leave is the end of a call that enter counted: depth += frame.
func (c *counter) leave(frame int) {
	c.op(module.OpGlobalGet, c.depth)
	c.i64(int64(frame))
	c.op(opI64Add)
	c.op(module.OpGlobalSet, c.depth)
}
