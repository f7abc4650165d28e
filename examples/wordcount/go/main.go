// Wordcount counts the words of text files. A word is a longest run of ASCII letters, in lower case.
package main

import (
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func init() { wasmill.Job("wordcount", define) }

func define(job *wasmill.Env) {
	files := wasmill.Files(job.Param("input", "file or pattern to read"))
	sink := wasmill.FileSink(job.Param("output", "directory to write"))
	window := time.Duration(job.ParamIntOr("window", 0, "milliseconds of a tumbling window, 0 for none")) * time.Millisecond
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

// split emits the words of a line.
func split(line string, emit func(string)) {
	text, start := append(buffer[:0], line...), 0
	buffer = text
	for i, c := range text {
		lower := letters[c]
		text[i] = lower
		if lower == 0 {
			if i > start {
				emit(wasmill.View(text[start:i]))
			}
			start = i + 1
		}
	}
	if start < len(text) {
		emit(wasmill.View(text[start:]))
	}
}

var buffer []byte

// letters has the lower case of each letter, 0 for every other byte.
var letters = func() (to [256]byte) {
	for c := 'a'; c <= 'z'; c++ {
		to[c], to[c-'a'+'A'] = byte(c), byte(c)
	}
	return to
}()

func itself(word string) string       { return word }
func one(word string) (string, int64) { return word, 1 }
func add(a, b int64) int64            { return a + b }

func main() {}
