// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-go/adit/db"
)

// Action is what somebody wants to do.
type Action struct {
	Superuser   bool     // it is reserved to superusers
	Staff       bool     // it is reserved to staff, including superusers
	Permissions []string // all of them are needed
	Source      int64    // DICOM node to read from; 0 = none
	Destination int64    // DICOM node to write to; 0 = none
	Project     int64    // project to work in; 0 = none
	Sections    []string // one of these permissions is needed, with its section unlocked: for what begins with this action
}

// Deed is an action of a user.
type Deed struct {
	UserID int64
	Action Action
}

// Check is the permission check: nil if the user may do it, otherwise a *Denied that says what is missing.
func (s *Service) Check(ctx context.Context, userID int64, a Action) error {
	lacking, err := s.CheckAll(ctx, []Deed{{userID, a}})
	if err != nil {
		return err
	}
	if lacking[0] != nil {
		return lacking[0]
	}
	return s.checkSections(ctx, userID, a.Sections)
}

// CheckAll is Check for many at once, by one query, but for locks of sections, which keep nobody from what has begun.
// For each deed, in order, it gives nil or what is missing.
func (s *Service) CheckAll(ctx context.Context, deeds []Deed) ([]*Denied, error) {
	rows, err := s.q.Lacking(ctx, lackingParams(deeds))
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

func lackingParams(deeds []Deed) (p db.LackingParams) {
	for i, d := range deeds {
		p.Numbers = append(p.Numbers, int32(i))
		p.UserIds = append(p.UserIds, d.UserID)
		p.Permissions = append(p.Permissions, strings.Join(slices.Concat(d.Action.Permissions, d.Action.Sections), ","))
		p.SourceIds = append(p.SourceIds, d.Action.Source)
		p.DestinationIds = append(p.DestinationIds, d.Action.Destination)
		p.ProjectIds = append(p.ProjectIds, d.Action.Project)
	}
	return p
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
	case lacks(has, a.Permissions) != "":
		return fmt.Sprintf(
			"your groups lack the permission %q; ask your administrator for it", lacks(has, a.Permissions),
		)
	case len(a.Sections) > 0 && len(held(has, a.Sections)) == 0:
		return noSection(a.Sections)
	case !has.Source:
		return noNode("source")
	case !has.Destination:
		return noNode("destination")
	case !has.Project:
		return "you belong neither to this project nor to its group; ask your administrator"
	}
	return ""
}

// lacks returns the first of some permissions that is missing; empty: none is.
func lacks(has db.LackingRow, permissions []string) string {
	if i := slices.IndexFunc(permissions, func(p string) bool { return slices.Contains(has.Permissions, p) }); i >= 0 {
		return permissions[i]
	}
	return ""
}

// held returns those of some permissions that are not missing.
func held(has db.LackingRow, permissions []string) []string {
	return slices.DeleteFunc(
		slices.Clone(permissions), func(p string) bool { return slices.Contains(has.Permissions, p) },
	)
}

func noSection(sections []string) string {
	if len(sections) == 1 {
		return fmt.Sprintf("your groups lack the permission %q; ask your administrator for it", sections[0])
	}
	return fmt.Sprintf(
		"your groups have none of the permissions that open this (%s); ask your administrator for one",
		strings.Join(sections, ", "),
	)
}

func noNode(use string) string {
	return "none of your groups may use this DICOM node as a " + use + "; ask your administrator for access"
}
