// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-go/adit/db"
)

// lacked returns those of some permissions that none of a user's own groups has.
func lacked(ctx context.Context, q *db.Queries, userID int64, permissions []string) ([]string, error) {
	own, err := q.PermissionsOfUser(ctx, userID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(permissions), func(p string) bool { return slices.Contains(own, p) }), nil
}

// mayGive judges that a user gives permissions to others or to themselves, and returns those that the user has by none
// of their own groups. Only superusers may give such.
func mayGive(ctx context.Context, q *db.Queries, user User, permissions []string) ([]string, error) {
	missing, err := lacked(ctx, q, user.ID, permissions)
	if err == nil && len(missing) > 0 && !user.IsSuperuser {
		return nil, &Denied{Reason: fmt.Sprintf(
			"you don't have these permissions yourself (%s), so only superusers may give them; ask one of them",
			strings.Join(missing, ", "),
		)}
	}
	return missing, err
}

// mayTakeOver judges that a user changes what opens another's account: staff would have the rights of that account, so
// it must have them already.
func mayTakeOver(ctx context.Context, q *db.Queries, user User, target db.User) error {
	if user.IsSuperuser {
		return nil
	}
	permissions, err := q.PermissionsOfUser(ctx, target.ID)
	if err != nil {
		return err
	}
	missing, err := lacked(ctx, q, user.ID, permissions)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return &Denied{Reason: fmt.Sprintf(
			"this account has permissions that you don't have (%s), so only superusers may change its password and "+
				"mail address; ask one of them",
			strings.Join(missing, ", "),
		)}
	}
	readers, err := readersOf(ctx, q)
	if err != nil {
		return err
	}
	for r := range readers {
		if r.UserID == target.ID && !readers[db.LinkageReadersRow{UserID: user.ID, ProjectID: r.ProjectID}] {
			return &Denied{Reason: "this account can read the linkage table of a project, which you may not, " +
				"so only superusers may change its password and mail address; ask one of them"}
		}
	}
	return nil
}

func readersOf(ctx context.Context, q *db.Queries) (map[db.LinkageReadersRow]bool, error) {
	rows, err := q.LinkageReaders(ctx, Linkage)
	readers := make(map[db.LinkageReadersRow]bool, len(rows))
	for _, r := range rows {
		readers[r] = true
	}
	return readers, err
}

// GuardLinkage has change done, in the transaction of q, and refuses it if somebody can read the linkage table of a
// project afterwards who could not before, nor can the user who does it: by a permission, a membership or both.
// Superusers may do so.
func GuardLinkage(ctx context.Context, q *db.Queries, by User, change func() error) error {
	if by.IsSuperuser {
		return change()
	}
	before, err := readersOf(ctx, q)
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	after, err := readersOf(ctx, q)
	if err != nil {
		return err
	}
	for r := range after {
		if !before[r] && !before[db.LinkageReadersRow{UserID: by.ID, ProjectID: r.ProjectID}] {
			return &Denied{Reason: "you can't read the linkage table of this project, so only superusers may let " +
				"others read it; ask one of them"}
		}
	}
	return nil
}
