// Letters takes lines key,n by two operators that each cannot take some, and writes what they have left out as
// operator|unit|key|bytes.
package main

import (
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func init() {
	wasmill.Job("letters", func(job *wasmill.Env) {
		output := job.Param("output")
		lines := wasmill.Source(job, wasmill.Files(job.Param("input")))
		parsed := wasmill.Map(lines, "parse", parse).OnTrap(wasmill.DeadLetter)
		keyed := wasmill.KeyBy(parsed, "key", func(line string) string { return strings.Split(line, ",")[0] })
		booked := wasmill.Process(keyed, "book", wasmill.ProcessFunction[string, string, string]{Process: book}).
			UID("book").OnTrap(wasmill.DeadLetter)
		booked.SinkTo(wasmill.FileSink(output + "/good"))
		wasmill.Union(
			wasmill.Map(parsed.DeadLetters(), "of-parse", func(l wasmill.Letter) string { return tell("parse", l) }),
			wasmill.Map(booked.DeadLetters(), "of-book", func(l wasmill.Letter) string { return tell("book", l) }),
		).SinkTo(wasmill.FileSink(output + "/letters"))
	})
}

func parse(line string) string {
	if number(line)%7 == 0 {
		panic("a multiple of seven")
	}
	return line
}

func book(c *wasmill.Context[string, string], line string) {
	c.Emit(line)
	if number(line)%11 == 0 {
		var nothing []int
		_ = nothing[number(line)]
	}
}

func number(line string) int {
	n, err := strconv.Atoi(line[strings.IndexByte(line, ',')+1:])
	if err != nil {
		panic(err)
	}
	return n
}

func tell(operator string, l wasmill.Letter) string {
	key := "none"
	if l.Key != nil {
		key = string(l.Key)
	}
	return operator + "|" + l.Unit + "|" + key + "|" + string(l.Bytes)
}

func main() {}
