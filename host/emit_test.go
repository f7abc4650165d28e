package host

import (
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// The comment on emit draws a batch byte by byte, for those who write an SDK.
func TestBatchIsAsTheCommentOnEmitDrawsIt(t *testing.T) {
	source, err := os.ReadFile("emit.go")
	if err != nil {
		t.Fatal(err)
	}
	var drawn []byte
	for _, line := range regexp.MustCompile(`(?m)^//\t\d{4}  ([0-9a-f |]+?)(?:   .*|  ".*)$`).FindAllSubmatch(source, -1) {
		b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "").Replace(string(line[1])))
		if err != nil {
			t.Fatalf("%s: %v", line[0], err)
		}
		drawn = append(drawn, b...)
	}
	w := abi.NewBuilder(abi.ColumnValues)
	w.Append(abi.Record{Value: []byte("hi")})
	if want := w.Encode(abi.AlignedBytes(w.Size())); !bytes.Equal(drawn, want) {
		t.Errorf("emit.go draws\n% x (expected\n% x)", drawn, want)
	}
}
