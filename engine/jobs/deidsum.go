// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/people"
)

// DeidSum is what de-identification did to all studies of a job together. It holds nothing of the originals, and no
// pseudonym.
type DeidSum struct {
	Studies             int
	Meant               int // of these, those that get a pseudonym
	Pseudonymized       int // of which something was delivered under a pseudonym
	Identified          int // of which something was delivered with the identity of the patient
	Patients            int // as many pseudonyms as were used
	Instances           int64
	IdentifiedInstances int64 // of those
	Counts              map[string]int64
	Codes               map[string]int // studies, by what (0012,0064) says of some instance
	ToUTF8              int64
	AssumedCharsets     map[string]int
	HeldBack            []HeldBack
	Truncated           bool
	Omitted             map[string]int
}

// HeldBack is instances of a job that were not sent for one reason.
type HeldBack struct {
	Reason    deid.Reason `json:"reason"`
	Unsafe    bool        `json:"unsafe"`
	Instances int         `json:"instances"`
	Studies   int         `json:"studies"`
	First     int32       `json:"first"` // place of the first task
}

// DeidSum sums up what de-identification did to the studies of a job that the user may see. listed: a study's report
// lists so many instances that were held back at most.
func (svc *Service) DeidSum(ctx context.Context, user people.User, jobID int64, listed int) (DeidSum, error) {
	if _, err := svc.Get(ctx, user, jobID); err != nil {
		return DeidSum{}, err
	}
	row, err := svc.Q.Planned().SumTaskDeid(ctx, db.SumTaskDeidParams{JobID: jobID, Most: int32(listed)})
	if err != nil {
		return DeidSum{}, err
	}
	sum := DeidSum{
		Studies: int(row.Studies), Meant: int(row.Meant), Pseudonymized: int(row.Pseudonymized),
		Identified: int(row.Identified), Patients: int(row.Patients), Instances: row.Instances,
		IdentifiedInstances: row.IdentifiedInstances, ToUTF8: row.ToUtf8, Truncated: row.Truncated,
	}
	return sum, errors.Join(
		json.Unmarshal(row.Counts, &sum.Counts), json.Unmarshal(row.Codes, &sum.Codes),
		json.Unmarshal(row.AssumedCharsets, &sum.AssumedCharsets), json.Unmarshal(row.Omitted, &sum.Omitted),
		json.Unmarshal(row.HeldBack, &sum.HeldBack),
	)
}
