// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/adit-go/adit/db"
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
			return &Invalid{Field: field, Reason: "must be between 0 (none) and 10000000"}
		}
	}
	if l.QuotaGB > 0 && l.WarnGB > l.QuotaGB {
		return &Invalid{Field: "warn_gb", Reason: "must not be above the quota, which is never exceeded"}
	}
	return nil
}

func (l FolderLimits) detail() map[string]any {
	return map[string]any{"quota_gb": l.QuotaGB, "warn_gb": l.WarnGB}
}

// ChangeFolder has change work on the limits of a folder, and keeps the outcome if it is valid. The files are counted within a minute. It is
// for staff.
func (e *Engine) ChangeFolder(ctx context.Context, user people.User, name string, change func(*FolderLimits)) (DICOMNode, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return DICOMNode{}, err
	}
	n, err := e.DICOMNodeByName(ctx, name)
	if err != nil {
		return DICOMNode{}, err
	}
	if n.Folder == nil {
		return DICOMNode{}, fmt.Errorf("folder %q: %w", name, ErrNotFound)
	}
	err = e.inTx(ctx, func(q *db.Queries) error {
		f, err := q.LockFolder(ctx, n.ID)
		if err != nil {
			return notFound(err, "folder", fmt.Sprintf("%q", name))
		}
		l := FolderLimits{QuotaGB: f.QuotaGb, WarnGB: f.WarnGb}
		change(&l)
		if err := l.validate(); err != nil {
			return err
		}
		if err := q.SetQuota(ctx, db.SetQuotaParams{ID: n.ID, QuotaGb: l.QuotaGB, WarnGb: l.WarnGB}); err != nil {
			return err
		}
		if err := q.PlanChore(ctx, db.PlanChoreParams{Name: folderChore(n.ID), NextAt: time.Unix(0, 0)}); err != nil {
			return err
		}
		return people.Record(ctx, q, people.Entry{Action: "folder.change", Object: "folder " + n.Name, Detail: l.detail()})
	})
	if err != nil {
		return DICOMNode{}, err
	}
	return e.dicomNode(ctx, n.ID)
}
