// Goguest is a guest as standard Go compiles it. Each export computes something from the first n bytes of a buffer that
// the host fills, in another way.
package main

import (
	"sort"
	"strconv"
	"strings"
	"unsafe"
)

var buf = make([]byte, 1<<20)

//go:wasmexport buffer
func buffer() uint32 { return uint32(uintptr(unsafe.Pointer(&buf[0]))) }

//go:wasmexport hash
func hash(n uint32) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range buf[:n] {
		h ^= uint64(b)
		h *= 1099511628211
	}
	return h
}

//go:wasmexport words
func words(n uint32) uint64 {
	counts := map[string]int{}
	p := buf[:n]
	start := -1
	for i, c := range p {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if letter && start < 0 {
			start = i
		}
		if !letter && start >= 0 {
			counts[string(p[start:i])]++
			start = -1
		}
	}
	total := 0
	for _, n := range counts {
		total += n * n
	}
	return uint64(len(counts))<<32 + uint64(total)
}

//go:wasmexport sorted
func sorted(n uint32) uint64 {
	fields := strings.Fields(string(buf[:n]))
	sort.Strings(fields)
	h := uint64(0)
	for i, f := range fields {
		h += uint64(i) * uint64(len(f))
	}
	return h
}

//go:wasmexport fib
func fib(n uint32) uint64 {
	if n < 2 {
		return uint64(n)
	}
	return fib(n-1) + fib(n-2)
}

//go:wasmexport matrix
func matrix(n uint32) uint64 {
	var a, b, c [40][40]float64
	for i := range a {
		for j := range a {
			a[i][j], b[i][j] = float64(buf[(i*40+j)%int(n)]), float64(i-j)
		}
	}
	sum := 0.0
	for range n / 4096 {
		for i := range a {
			for j := range a {
				s := 0.0
				for k := range a {
					s += a[i][k] * b[k][j]
				}
				c[i][j] = s
				sum += s / 7
			}
		}
	}
	return uint64(int64(sum))
}

//go:wasmexport machine
func machine(n uint32) uint64 {
	var stack [16]uint64
	sp := 0
	for i, op := range buf[:n] {
		switch op & 7 {
		case 0:
			stack[sp&15] = uint64(i)
			sp++
		case 1:
			sp--
		case 2:
			stack[sp&15] += uint64(op)
		case 3:
			stack[sp&15] ^= stack[(sp-1)&15]
		case 4:
			if stack[sp&15]&1 == 0 {
				continue
			}
			stack[sp&15]++
		default:
			stack[sp&15] *= 31
		}
	}
	h := uint64(0)
	for _, s := range stack {
		h = h*7 + s
	}
	return h
}

type shape interface{ area() int }
type square int
type rectangle struct{ a, b int }

func (s square) area() int    { return int(s * s) }
func (r rectangle) area() int { return r.a * r.b }

//go:wasmexport indirect
func indirect(n uint32) uint64 {
	shapes := []shape{square(2), rectangle{2, 3}}
	add := func(by int) func(int) int { return func(x int) int { return x + by } }
	sum := 0
	for _, b := range buf[:n] {
		sum = add(shapes[b&1].area())(sum)
	}
	return uint64(sum)
}

//go:wasmexport recovered
func recovered(n uint32) uint64 {
	caught := 0
	for i := range n / 256 {
		func() {
			defer func() {
				if recover() != nil {
					caught++
				}
			}()
			if buf[i] > 'm' {
				panic("late")
			}
			_ = buf[int(i)-1]
		}()
	}
	return uint64(caught)
}

//go:wasmexport goroutines
func goroutines(n uint32) uint64 {
	in, out := make(chan int), make(chan int, 3)
	for range 4 {
		go func() {
			for x := range in {
				out <- x * x
			}
			out <- -1
		}()
	}
	go func() {
		for i := range n / 64 {
			in <- int(i)
		}
		close(in)
	}()
	sum, open := 0, 4
	for open > 0 {
		if x := <-out; x < 0 {
			open--
		} else {
			sum += x
		}
	}
	return uint64(sum)
}

//go:wasmexport formatted
func formatted(n uint32) uint64 {
	var b strings.Builder
	for i := range n / 64 {
		b.WriteString(strconv.Itoa(int(i)))
		b.WriteString(strconv.Quote(string(buf[i : i+3])))
		b.WriteString(strconv.FormatFloat(float64(i)/3, 'g', -1, 64))
	}
	h := uint64(0)
	for _, c := range b.String() {
		h = h*31 + uint64(c)
	}
	return h
}

//go:wasmexport spin
func spin() {
	for {
	}
}

//go:wasmexport recurse
func recurse(n uint64) uint64 { return 1 + recurse(n+1)*3 }

func main() {}
