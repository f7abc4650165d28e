package nexmark

import "math/bits"

// A price is round(100 · 10^(6u)) for u from [0, 1): from 100 to 10^8, each decade as likely as the others. It is computed in
// whole numbers, because exp and pow differ in their last bits from one processor to the next, and files must not. Of the 42
// bits of u that are used, 11 look up a factor, 11 a factor near 1, and the rest is taken as linear.
const (
	coarseStep = 4642900949851134414 // 10^(6/2^11) · 2^62
	fineStep   = 4611701208766907569 // 10^(6/2^22) · 2^62
	linearStep = 3797578625536       // ln(10) · 6/2^42 · 2^80
	priceUnit  = 36                  // a coarse price has so many bits behind the point
)

var coarsePrices, fineFactors = powers(100<<priceUnit, coarseStep), powers(1<<62, fineStep)

// powers are first, first·step, first·step² ...; step has 62 bits behind the point.
func powers(first, step uint64) (all [1 << 11]uint64) {
	for i := range all {
		all[i] = first
		hi, lo := bits.Mul64(first, step)
		first = hi<<2 | lo>>62
	}
	return all
}

// price is the price of a random number.
func price(x uint64) int64 {
	hi, lo := bits.Mul64(coarsePrices[x>>53], fineFactors[x>>42&(1<<11-1)])
	v := hi<<2 | lo>>62
	rest, _ := bits.Mul64(v, x>>22&(1<<20-1)*linearStep)
	v += rest >> 16
	return int64((v + 1<<(priceUnit-1)) >> priceUnit)
}
