package nexmark

import "math/bits"

// dice are the random numbers of one event, by place: number i can be had without those before it, so what is made of a
// field does not depend on which others are asked for. It is SplitMix64, counted instead of stepped.
type dice uint64

const step = 0x9e3779b97f4a7c15 // 2^64 / golden ratio: steps that never meet

// diceOf returns the numbers that belong to an event, or to anything else that is counted.
func diceOf(seed, number uint64) dice { return dice(mix(mix(seed) + number*0xd1342543de82ef95)) }

func (d dice) at(place uint64) uint64 { return mix(uint64(d) + place*step) }

// below returns number place as one of 0 to n-1.
func (d dice) below(place, n uint64) uint64 { return scale(d.at(place), n) }

func scale(x, n uint64) uint64 {
	hi, _ := bits.Mul64(x, n)
	return hi
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
