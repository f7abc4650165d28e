// Wordcount counts the words of text files. A word is a longest run of ASCII letters, in lower case.
package main

import (
	"strings"
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func init() { wasmill.Job("wordcount", define) }

func define(job *wasmill.Env) {
	files := wasmill.Files(job.Param("input", "file or glob to read"))
	sink := wasmill.FileSink(job.Param("output", "directory to write"))
	window := time.Duration(job.ParamIntOr("window", 0, "count by windows of so many milliseconds")) * time.Millisecond
	counter := job.ParamOr("counter", "native", "who counts: native or guest")
	if window != 0 {
		files.OffsetTimestamps() // a line's event time is its offset in the file
		sink.Columns("start", "key", "value")
	}
	words := wasmill.FlatMap(wasmill.Source(job, files), "split", split)
	switch counter {
	case "native":
		byWord := wasmill.KeyBy(words, "word", itself)
		if window == 0 {
			byWord.Count().UID("counts").SinkTo(sink)
		} else {
			byWord.Window(wasmill.Tumbling(window)).Count().UID("counts").SinkTo(sink)
		}
	case "guest":
		ones := wasmill.KeyValueBy(words, "word", one)
		if window == 0 {
			ones.Reduce("add", add).UID("counts").SinkTo(sink)
		} else {
			ones.Window(wasmill.Tumbling(window)).Reduce("add", add).UID("counts").SinkTo(sink)
		}
	default:
		job.Fail("parameter \"counter\": \"" + counter + "\" (expected native or guest)")
	}
}

// split emits the words of a line. A word that is in lower case already shares the line's memory.
func split(line string, emit func(string)) {
	start, capital := -1, false
	for i := range len(line) {
		c := line[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			if start < 0 {
				start = i
			}
			capital = capital || c <= 'Z'
		case start >= 0:
			emit(lower(line[start:i], capital))
			start, capital = -1, false
		}
	}
	if start >= 0 {
		emit(lower(line[start:], capital))
	}
}

func lower(word string, capital bool) string {
	if capital {
		return strings.ToLower(word)
	}
	return word
}

func itself(word string) string       { return word }
func one(word string) (string, int64) { return word, 1 }
func add(a, b int64) int64            { return a + b }

func main() {}
