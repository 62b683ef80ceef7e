// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"context"
	"fmt"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/version"
	"github.com/adit-go/adit/people"
)

// NewFolder describes a folder to be added.
type NewFolder struct {
	Name, Path string
	FolderLimits
}

// FolderLimits bound what the files of a folder take. 1 GB = 10⁹ bytes; 0: no limit.
type FolderLimits struct {
	QuotaGB float64 // beyond it transfers to the folder fail
	WarnGB  float64 // staff gets a mail when it is reached
}

const maxQuotaGB = 1e7

func (l FolderLimits) validate() error {
	for field, gb := range map[string]float64{"quota_gb": l.QuotaGB, "warn_gb": l.WarnGB} {
		if gb < 0 || gb > maxQuotaGB || gb != gb { // not a number
			return &refusal.Invalid{Field: field, Reason: "must be between 0 (none) and 10000000"}
		}
	}
	if l.QuotaGB > 0 && l.WarnGB > l.QuotaGB {
		return &refusal.Invalid{Field: "warn_gb", Reason: "must not be above the quota"}
	}
	return nil
}

func (l FolderLimits) detail() map[string]any {
	return map[string]any{"quota_gb": l.QuotaGB, "warn_gb": l.WarnGB}
}

// ChangeFolder has change work on the limits of a folder, and keeps the outcome if it is valid. The files are counted
// within a minute. It is for staff.
func (svc *Service) ChangeFolder(
	ctx context.Context, user people.User, name string, change func(*FolderLimits),
) (DICOMNode, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return DICOMNode{}, err
	}
	n, err := svc.ByName(ctx, name)
	if err != nil {
		return DICOMNode{}, err
	}
	if n.Folder == nil {
		return DICOMNode{}, fmt.Errorf("folder %q: %w", name, refusal.ErrNotFound)
	}
	err = svc.InTx(ctx, func(q *db.Queries) error {
		f, err := q.LockFolder(ctx, n.ID)
		if err != nil {
			return refusal.NotFound(err, "folder", fmt.Sprintf("%q", name))
		}
		n.Folder = &f
		if err := version.Check(ctx, n.Version()); err != nil {
			return err
		}
		l := FolderLimits{QuotaGB: f.QuotaGb, WarnGB: f.WarnGb}
		change(&l)
		if err := l.validate(); err != nil {
			return err
		}
		if err := q.SetQuota(ctx, db.SetQuotaParams{ID: n.ID, QuotaGb: l.QuotaGB, WarnGb: l.WarnGB}); err != nil {
			return err
		}
		if err := q.PlanChore(ctx, db.PlanChoreParams{Name: FolderChore(n.ID), NextAt: time.Unix(0, 0)}); err != nil {
			return err
		}
		return audit.Record(
			ctx, q, audit.Entry{Action: "folder.change", Object: "folder " + n.Name, Detail: l.detail()},
		)
	})
	if err != nil {
		return DICOMNode{}, err
	}
	return svc.ByID(ctx, n.ID)
}

// FolderChore names the chore of counting a folder's files.
func FolderChore(id int64) string { return fmt.Sprintf("folder-%d", id) }
