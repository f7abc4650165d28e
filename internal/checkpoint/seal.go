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
}

// Encode writes a seal.
func (s *Seal) Encode() []byte {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers and texts can be written
	}
	return data
}

// Unseal reads a manifest against its seal.
func Unseal(seal, manifest []byte) (*Manifest, error) {
	var s Seal
	if err := json.Unmarshal(seal, &s); err != nil || s.Sum == "" {
		return nil, fmt.Errorf("seal: no seal was written so: %w", ErrDamaged)
	}
	m, err := Decode(manifest, s.Sum)
	if err != nil {
		return nil, err
	}
	if m.Job != s.Job || m.Checkpoint != s.Checkpoint {
		return nil, fmt.Errorf("seal of checkpoint %d of job %s beside the manifest of checkpoint %d of job %s: %w", s.Checkpoint, s.Job, m.Checkpoint, m.Job, ErrDamaged)
	}
	return m, nil
}
