package checkpoint

import (
	"encoding/json"
	"fmt"

	"github.com/wasmill/wasmill/internal/graph"
)

// Names of what a savepoint consists of beside its files, relative to its place.
const (
	SavepointManifest = "MANIFEST"
	SealName          = "SEALED"
)

// Seal says that the checkpoint with that manifest was decided: its output is committed by the job that has taken it, so
// that another job may go on from it.
type Seal struct {
	Job        graph.JobID `json:"job"`
	Checkpoint ID          `json:"checkpoint"`
	Sum        string      `json:"sum"` // of the manifest

	// Retained are all that a job that has failed leaves, the oldest first; the last one is the one above. They lie where
	// the job has put them, and so do their manifests.
	Retained []Sealed `json:"retained,omitempty"`
}

// Sealed is a decided checkpoint.
type Sealed struct {
	Checkpoint ID     `json:"checkpoint"`
	Sum        string `json:"sum"`              // of the manifest
	Output     bool   `json:"output,omitempty"` // some was committed with it
}

// Encode writes a seal.
func (s *Seal) Encode() []byte {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers and texts can be written
	}
	return data
}

// DecodeSeal reads a seal.
func DecodeSeal(data []byte) (*Seal, error) {
	var s Seal
	if err := json.Unmarshal(data, &s); err != nil || s.Sum == "" {
		return nil, fmt.Errorf("seal: no seal was written so: %w", ErrDamaged)
	}
	return &s, nil
}

// All are the checkpoints that it seals, the oldest first.
func (s *Seal) All() []Sealed {
	if len(s.Retained) > 0 {
		return s.Retained
	}
	return []Sealed{{Checkpoint: s.Checkpoint, Sum: s.Sum}}
}

// ManifestName is where the manifest of one of them lies.
func (s *Seal) ManifestName(c Sealed) string {
	if len(s.Retained) > 0 {
		return ManifestName(c.Checkpoint)
	}
	return SavepointManifest
}

// Unseal reads the manifest of one of them.
func (s *Seal) Unseal(c Sealed, manifest []byte) (*Manifest, error) {
	m, err := Decode(manifest, c.Sum)
	if err != nil {
		return nil, err
	}
	if m.Job != s.Job || m.Checkpoint != c.Checkpoint {
		return nil, fmt.Errorf("seal of checkpoint %d of job %s beside the manifest of checkpoint %d of job %s: %w", c.Checkpoint, s.Job, m.Checkpoint, m.Job, ErrDamaged)
	}
	return m, nil
}
