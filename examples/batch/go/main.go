// Batch makes a report of two files that end: what each customer has spent, also those who have bought nothing. It has no window:
// all orders of a customer meet the customer. A customer's line is "id,name", an order's "id,cents".
package main

import (
	"iter"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func init() {
	wasmill.Job("batch", func(job *wasmill.Env) {
		met := wasmill.Join(byID(job, "customers"), byID(job, "orders")).AllTime()
		report := wasmill.CoGroup(met, "spent", spent).UID("spent")
		report.SinkTo(wasmill.FileSink(job.Param("output", "directory to write")))
	})
}

// spent writes a line for each customer.
func spent(c *wasmill.WindowJoinContext[string, string], customers, orders iter.Seq[string]) {
	cents, n := int64(0), 0
	for order := range orders {
		cents += amount(order)
		n++
	}
	for customer := range customers {
		c.Emit(line(rest(customer), n, cents))
	}
}

// byID reads the lines of the files that a parameter names, by what stands before the first comma.
func byID(job *wasmill.Env, name string) *wasmill.KeyedStream[string, string] {
	lines := wasmill.Source(job, wasmill.Files(job.Param(name, "file or glob to read"))).Name(name)
	return wasmill.KeyBy(lines, name+" by id", func(line string) string { return strings.SplitN(line, ",", 2)[0] })
}

func rest(line string) string {
	_, after, found := strings.Cut(line, ",")
	if !found {
		panic("line " + strconv.Quote(line) + " (expected a comma)")
	}
	return after
}

func amount(order string) int64 {
	cents, err := strconv.ParseInt(rest(order), 10, 64)
	if err != nil {
		panic("order " + strconv.Quote(order) + " (expected id,cents)")
	}
	return cents
}

func line(name string, orders int, cents int64) string {
	return name + "," + strconv.Itoa(orders) + "," + strconv.FormatInt(cents, 10)
}

func main() {}
