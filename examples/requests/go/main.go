// Requests asks a server for the text of each URL's page, a line of the input each, and writes how long it is.
package main

import (
	"fmt"
	"time"

	"github.com/wasmill/wasmill/guest-sdk/go/wasmill"
)

func init() {
	wasmill.Job("requests", func(job *wasmill.Env) {
		pages := wasmill.Source(job, wasmill.Files(job.Param("input")))
		sizes := wasmill.AsyncWait(pages, "sizes", wasmill.AsyncFunction[string, string]{
			Request:  wasmill.Get,
			Response: size,
			Failed:   unreachable,
		}, wasmill.Ordered, wasmill.Hosts(job.Param("host")), wasmill.Capacity(20), wasmill.Timeout(5*time.Second),
			wasmill.ExponentialBackoff(3, 100*time.Millisecond, time.Second, 2))
		sizes.UID("sizes").SinkTo(wasmill.FileSink(job.Param("output")))
	})
}

func size(url string, page *wasmill.HTTPResponse, emit func(string)) {
	emit(fmt.Sprintf("%s %d %s %d bytes", url, page.Status, page.Header("Content-Type"), len(page.Body)))
}

func unreachable(url string, why *wasmill.RequestError, emit func(string)) {
	emit(url + " " + why.Error())
}

func main() {}
