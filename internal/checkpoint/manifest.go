package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Encode writes a manifest, and its checksum: SHA-256 in hexadecimal.
func (m *Manifest) Encode() (data []byte, sum string, err error) {
	if data, err = json.Marshal(m); err != nil {
		return nil, "", fmt.Errorf("encode the manifest of checkpoint %d: %w", m.Checkpoint, err)
	}
	return data, Sum(data), nil
}

// Sum is the checksum of a manifest's bytes.
func Sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// ErrDamaged marks a manifest that is not what was written.
var ErrDamaged = fmt.Errorf("damaged")

// Decode reads a manifest whose checksum is known.
func Decode(data []byte, sum string) (*Manifest, error) {
	if got := Sum(data); got != sum {
		return nil, fmt.Errorf("manifest: checksum %.12s (expected %.12s): %w", got, sum, ErrDamaged)
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("manifest: %v: %w", err, ErrDamaged)
	}
	if m.Version != Version {
		return nil, fmt.Errorf("manifest: version %d (expected %d)", m.Version, Version)
	}
	return &m, nil
}

// Fault is what is wrong with a file that a manifest names, or with the manifest.
type Fault struct {
	File  string `json:"file"` // name in the store
	Fault string `json:"fault"`
}
