// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"fmt"
	"strings"

	"github.com/adit-go/adit/db"
)

// Action is what somebody wants to do.
type Action struct {
	Superuser   bool     // it is reserved to superusers
	Staff       bool     // it is reserved to staff, whom superusers are of
	Permissions []string // all of them are needed
	Source      int64    // DICOM node to read from; 0 = none
	Destination int64    // DICOM node to write to; 0 = none
	Project     int64    // project to work in; 0 = none
	Section     string   // a permission whose use begins with this, and which staff may have locked; empty = none
}

// Deed is an action of a user.
type Deed struct {
	UserID int64
	Action Action
}

// Check is the permission check: nil if the user may do it, a *Denied that says what is missing if not.
func (s *Service) Check(ctx context.Context, userID int64, a Action) error {
	lacking, err := s.CheckAll(ctx, []Deed{{userID, a}})
	if err != nil {
		return err
	}
	if lacking[0] != nil {
		return lacking[0]
	}
	if a.Section != "" {
		return s.checkSection(ctx, userID, a.Section)
	}
	return nil
}

// CheckAll is Check for many at once, by one query, but for locked sections, which keep nobody from what has begun. For each deed, in
// order, it gives nil or what is missing.
func (s *Service) CheckAll(ctx context.Context, deeds []Deed) ([]*Denied, error) {
	p := db.LackingParams{}
	for i, d := range deeds {
		p.Numbers = append(p.Numbers, int32(i))
		p.UserIds = append(p.UserIds, d.UserID)
		p.Permissions = append(p.Permissions, strings.Join(d.Action.Permissions, ","))
		p.SourceIds = append(p.SourceIds, d.Action.Source)
		p.DestinationIds = append(p.DestinationIds, d.Action.Destination)
		p.ProjectIds = append(p.ProjectIds, d.Action.Project)
	}
	rows, err := s.q.Lacking(ctx, p)
	if err != nil {
		return nil, err
	}
	out := make([]*Denied, len(deeds))
	for i, d := range deeds {
		if reason := missing(d.Action, rows[i]); reason != "" {
			out[i] = &Denied{Reason: reason}
		}
	}
	return out, nil
}

// missing says in words what a user lacks for an action; empty: nothing.
func missing(a Action, has db.LackingRow) string {
	switch {
	case !has.Active:
		return "this account is disabled; ask your administrator"
	case a.Superuser && !has.Superuser:
		return "only superusers may do this; ask your administrator"
	case a.Staff && !has.Staff:
		return "only staff may do this; ask your administrator"
	case len(has.Permissions) > 0:
		return fmt.Sprintf("your groups lack the permission %q; ask your administrator for it", has.Permissions[0])
	case !has.Source:
		return noNode("source")
	case !has.Destination:
		return noNode("destination")
	case !has.Project:
		return "you belong neither to this project nor to its group; ask your administrator"
	}
	return ""
}

func noNode(use string) string {
	return "none of your groups may use this DICOM node as a " + use + "; ask your administrator for access"
}
