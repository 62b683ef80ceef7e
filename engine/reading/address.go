// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"fmt"
	"strings"

	"github.com/adit-go/adit/internal/refusal"
)

// Sealed names a value of an instance of the study to who may not know its UIDs, in at most 400 characters of an
// address: only ADIT can read it, for the same wish alone. The same value has the same name.
func (r *Reading) Sealed(series, instance, path string) string {
	return r.svc.People.SealName(r.sealedFor(), strings.Join([]string{series, instance, path}, "|"))
}

// Unsealed reads what Sealed made. The error is refusal.ErrNotFound for anything else.
func (r *Reading) Unsealed(name string) (series, instance, path string, err error) {
	text, err := r.svc.People.OpenName(r.sealedFor(), name)
	parts := strings.Split(text, "|")
	if err != nil || len(parts) != 3 {
		return "", "", "", fmt.Errorf("a value of this name in this study: %w", refusal.ErrNotFound)
	}
	return parts[0], parts[1], parts[2], nil
}

func (r *Reading) sealedFor() string {
	w := r.wish
	return fmt.Sprintf(
		"value %d %q %d %q %q %q", r.node.ID, w.Study, r.job.ProjectID, w.Pseudonym, w.TrialProtocolID, w.TrialProtocolName,
	)
}
