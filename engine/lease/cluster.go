// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Member is a process of the cluster, as staff sees it.
type Member struct {
	ID         uuid.UUID
	Name       string
	Started    []string // the roles that it was started with
	Roles      []string // those in effect
	Draining   bool
	Version    string
	ActorAddr  string // where others reach it; empty: it is no member of a cluster
	DataAddr   string
	StartedAt  time.Time
	Beat       time.Duration // how long ago it last said that it is alive
	Tasks      int           // that it runs
	Workers    int           // tasks that it may run at once now
	Configured int           // and as it was started
	Slots      int           // associations that it has, or may open
	AnyFolder  bool          // it takes tasks of every folder
	Folders    []string      // else of these
	Ended      string        // why it counts no longer: Left, Silent, Replaced; empty: it counts
	EndedAt    *time.Time
	Unreached  string // why this member can't reach it; empty: it can, or need not
}

// Why a member counts no longer.
const (
	Left     = "left"     // it ended in order
	Silent   = "silent"   // it did not beat for a whole lease
	Replaced = "replaced" // another one has started in its data directory
)

// MemberSettings are what people want of the members of a name.
type MemberSettings struct {
	Name     string
	Draining bool
	Roles    []string // of those that they were started with; nil: all
}

// Members returns all members that count, and those that ended within the last hour. It is for staff.
func (svc *Service) Members(ctx context.Context, user people.User) ([]Member, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := svc.Q.ClusterMembers(ctx)
	if err != nil {
		return nil, err
	}
	unreached := svc.Others.Unreached(ctx)
	out := make([]Member, len(rows))
	for i, row := range rows {
		m := Member{
			ID: row.ID, Name: row.Name, Started: startedWith(row.Roles), Roles: inEffect(row.Roles, row.Wanted),
			Draining: row.Draining, Version: row.Version, ActorAddr: row.ActorAddr, DataAddr: row.DataAddr,
			StartedAt: row.StartedAt, Beat: time.Duration(row.BeatAge * float64(time.Second)),
			Tasks: int(row.Running), Workers: int(row.Workers), Configured: int(row.Workers), Slots: int(row.Slots),
			AnyFolder: row.AnyFolder, Folders: row.FolderNames, Ended: row.Ended, EndedAt: row.FencedAt,
		}
		if w, err := schedule.ParseWorkers(row.Schedule); err == nil { // a damaged one is told by Orders
			m.Workers = w.At(row.Now)
		}
		if !works(m.Draining, m.Roles) || m.Ended != "" {
			m.Workers = 0
		}
		if m.Ended == "" {
			m.Unreached = unreached[m.ActorAddr]
		}
		out[i] = m
	}
	return out, nil
}

// startedWith returns the roles that a member was started with.
func startedWith(roles []string) []string {
	if len(roles) == 0 {
		return Roles
	}
	return roles
}

// inEffect returns the roles that a member has now. wanted: nil is all.
func inEffect(started, wanted []string) []string {
	return slices.DeleteFunc(slices.Clone(Roles), func(role string) bool {
		return !slices.Contains(startedWith(started), role) || wanted != nil && !slices.Contains(wanted, role)
	})
}

// works reports whether a member may run tasks.
func works(draining bool, roles []string) bool {
	return !draining && slices.Contains(roles, RoleWorker)
}

// Drain has the members of a name run no more tasks, now and when they start again: the tasks go on elsewhere. Draining
// false: they may again. It is for staff.
func (svc *Service) Drain(ctx context.Context, user people.User, name string, draining bool) (MemberSettings, error) {
	act := "member.resume"
	if draining {
		act = "member.drain"
	}
	return svc.setMember(ctx, user, name, act, nil, func(s *MemberSettings, _ []db.RolesOfMembersRow) (bool, error) {
		changed := s.Draining != draining
		s.Draining = draining
		return changed, nil
	})
}

// SetRoles has the members of a name do no more than some of the roles that they were started with; none named: all of
// them. It is for staff.
func (svc *Service) SetRoles(
	ctx context.Context, user people.User, name string, roles []string,
) (MemberSettings, error) {
	var wanted []string
	for _, role := range Roles {
		if slices.Contains(roles, role) {
			wanted = append(wanted, role)
		}
	}
	for _, role := range roles {
		if !slices.Contains(Roles, role) {
			return MemberSettings{}, &refusal.Invalid{
				Field: "roles", Reason: fmt.Sprintf("%q is no role; the roles are %s", role, strings.Join(Roles, ", ")),
			}
		}
	}
	detail := map[string]any{"roles": wanted}
	if wanted == nil {
		detail["roles"] = "all"
	}
	return svc.setMember(
		ctx, user, name, "member.change", detail, func(s *MemberSettings, all []db.RolesOfMembersRow) (bool, error) {
			if err := mayHave(name, wanted, all); err != nil {
				return false, err
			}
			changed := !slices.Equal(s.Roles, wanted)
			s.Roles = wanted
			return changed, nil
		},
	)
}

// mayHave refuses roles that the members of a name were not started with, and those without which nobody could take
// the change back.
func mayHave(name string, wanted []string, all []db.RolesOfMembersRow) error {
	lives, can, otherWeb := false, map[string]bool{}, false
	for _, m := range all {
		switch {
		case !m.Alive:
		case m.Name == name:
			lives = true
			for _, role := range startedWith(m.Roles) {
				can[role] = true
			}
		case slices.Contains(inEffect(m.Roles, m.Wanted), RoleWeb):
			otherWeb = true
		}
	}
	for _, role := range wanted {
		if lives && !can[role] {
			return &refusal.Invalid{Field: "roles", Reason: fmt.Sprintf(
				"%s was not started with the role %s; name it in --roles of adit serve there, and start it again", name, role,
			)}
		}
	}
	if lives && can[RoleWeb] && wanted != nil && !slices.Contains(wanted, RoleWeb) && !otherWeb {
		return &refusal.Conflict{Reason: "no other member has the role web: nobody could reach ADIT any more; " +
			"give it to another member first"}
	}
	return nil
}

// setMember changes what people want of the members of a name. change reports whether anything is new.
func (svc *Service) setMember(
	ctx context.Context, user people.User, name, act string, detail map[string]any,
	change func(s *MemberSettings, all []db.RolesOfMembersRow) (bool, error),
) (MemberSettings, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return MemberSettings{}, err
	}
	var s MemberSettings
	var changed bool
	err := svc.InTx(ctx, func(q *db.Queries) error {
		if err := q.LockMemberSettings(ctx); err != nil {
			return err
		}
		all, err := q.RolesOfMembers(ctx)
		if err != nil {
			return err
		}
		row, err := q.GetMemberSettings(ctx, name)
		known := err == nil || slices.ContainsFunc(all, func(m db.RolesOfMembersRow) bool { return m.Name == name })
		switch {
		case err != nil && !errors.Is(err, pgx.ErrNoRows):
			return err
		case !known:
			return fmt.Errorf("a member of the cluster named %q: %w", name, refusal.ErrNotFound)
		}
		s = MemberSettings{Name: name, Draining: row.Draining, Roles: row.Roles}
		if changed, err = change(&s, all); err != nil || !changed {
			return err
		}
		if !s.Draining && s.Roles == nil {
			err = q.DeleteMemberSettings(ctx, name)
		} else {
			err = q.PutMemberSettings(ctx, db.PutMemberSettingsParams(s))
		}
		return errors.Join(err, audit.Record(ctx, q, audit.Entry{Action: act, Object: "member " + name, Detail: detail}))
	})
	if err != nil || !changed {
		return s, err
	}
	svc.Log.InfoContext(
		ctx, "what people want of a member changed", "name", name, "draining", s.Draining, "roles", s.Roles,
	)
	svc.Reconsider()
	return s, nil
}
