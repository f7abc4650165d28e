package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// answerTagged answers v with an ETag made of its JSON, or 304 to a client that has it. The tag is weak: it says that
// the answer means the same, not that a later version would write the same bytes.
func answerTagged(c echo.Context, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if unchanged(c, `W/"`+hex.EncodeToString(sum[:16])+`"`) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, append(body, '\n'))
}

// unchanged sets the answer's ETag and reports whether If-None-Match has it.
func unchanged(c echo.Context, tag string) bool {
	c.Response().Header().Set("ETag", tag)
	return noneMatchHas(c.Request().Header.Values("If-None-Match"), tag)
}

// noneMatchHas decides as RFC 9110 says (8.8.3, 13.1.2): "*" has every tag; otherwise it is a list, perhaps over several
// header fields, and W/ does not matter. What does not parse ends its field.
func noneMatchHas(fields []string, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for _, field := range fields {
		if strings.TrimSpace(field) == "*" {
			return true
		}
		for {
			opaque, ok := strings.CutPrefix(strings.TrimPrefix(strings.TrimLeft(field, " \t,"), "W/"), `"`)
			if !ok {
				break
			}
			opaque, rest, ok := strings.Cut(opaque, `"`)
			if !ok {
				break
			}
			if `"`+opaque+`"` == tag {
				return true
			}
			field = rest
		}
	}
	return false
}
