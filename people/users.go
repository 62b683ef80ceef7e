// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/internal/version"
	"github.com/adit-go/adit/mail"
)

// Users are the accounts.
type Users struct{ svc *Service }

// Person is a user's name and mail address.
type Person struct {
	Mail, FirstName, LastName, Phone, Department string
}

// Account is a user as staff sees it.
type Account struct {
	ID       int64
	Username string
	Person
	IsActive, IsStaff, IsSuperuser bool
	HasPassword                    bool // otherwise they can't log in by one
	Groups                         []string
	CreatedAt                      time.Time
}

// NewAccount is a user to be made.
type NewAccount struct {
	Username string
	Person
	Password         string // empty: none yet
	Staff, Superuser bool
	Groups           []string
	Invite           bool // by mail, to choose a password
}

// AccountChange changes a user: nil fields stay as they are.
type AccountChange struct {
	Username                                     *string
	Mail, FirstName, LastName, Phone, Department *string
	Active, Staff, Superuser                     *bool
}

const (
	maxUsername = 150
	maxName     = 150
)

// checkUsername returns a username in one of the ways in which it can be written. Whoever asks for an account chooses
// it, and staff reads it: so no letter is taken that looks like another one in another alphabet.
func checkUsername(name string) (string, error) {
	name = norm.NFKC.String(name)
	fits := func(r rune) bool { return text.Latin(r) || r >= '0' && r <= '9' || strings.ContainsRune("@.+-_", r) }
	if n := utf8.RuneCountInString(name); n == 0 || n > maxUsername || strings.ContainsRune("@.+-", rune(name[0])) ||
		strings.ContainsFunc(name, func(r rune) bool { return !fits(r) }) {
		return "", &refusal.Invalid{
			Field: "username",
			Reason: "a username has 1 to 150 letters of Latin alphabets, digits and @ . + - _, and begins with a " +
				"letter, a digit or _",
		}
	}
	return name, nil
}

func (p Person) validate() error {
	if p.Mail != "" {
		if err := mail.ValidAddress(p.Mail); err != nil {
			return err
		}
	}
	for field, value := range map[string]string{
		"first_name": p.FirstName, "last_name": p.LastName, "phone": p.Phone, "department": p.Department,
	} {
		if utf8.RuneCountInString(value) > maxName || !text.Plain(value) || strings.TrimSpace(value) != value {
			return &refusal.Invalid{Field: field, Reason: fmt.Sprintf(
				"at most %d characters, without control characters or blanks at the ends", maxName,
			)}
		}
	}
	return nil
}

// UserFilter chooses users. Empty fields match everything.
type UserFilter struct {
	Search string // in username, names and mail, in any case of letters
	Active *bool
	Staff  *bool
	Group  string     // that they belong to
	Order  page.Order // by id or username
	Limit  int
}

// List lists users. It is for staff.
func (s *Users) List(ctx context.Context, user User, f UserFilter) ([]Account, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := s.svc.q.ListUsers(ctx, db.ListUsersParams{
		Search: f.Search, Active: f.Active, Staff: f.Staff, GroupName: f.Group, Sort: f.Order.By,
		Down: f.Order.Down, Value: f.Order.Value, After: f.Order.After, Max: int32(f.Limit),
	})
	out := make([]Account, len(rows))
	for i, r := range rows {
		out[i] = accountWith(r.User, r.Groups)
	}
	return out, err
}

// Get gives a user by the name, in any case of letters. It is for staff.
func (s *Users) Get(ctx context.Context, user User, username string) (Account, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Account{}, err
	}
	u, err := s.svc.q.UserByName(ctx, username)
	if err != nil {
		return Account{}, refusal.NotFound(err, "user", quote(username))
	}
	return accountOf(ctx, s.svc.q, u)
}

func accountOf(ctx context.Context, q *db.Queries, u db.User) (Account, error) {
	groups, err := q.GroupsOfUser(ctx, u.ID)
	return accountWith(u, namesOf(groups)), err
}

func accountWith(u db.User, groups []string) Account {
	return Account{
		ID: u.ID, Username: u.Username, Person: Person{u.Mail, u.FirstName, u.LastName, u.Phone, u.Department},
		IsActive: u.IsActive, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser,
		HasPassword: u.PasswordHash != nil, Groups: groups, CreatedAt: u.CreatedAt,
	}
}

func namesOf(groups []db.Group) []string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Name
	}
	return names
}

// Create makes a user. It is for staff; staff and superusers are made by superusers only.
func (s *Users) Create(ctx context.Context, user User, n NewAccount) (Account, error) {
	needs := Action{Staff: true, Superuser: n.Staff || n.Superuser}
	if err := s.svc.Check(ctx, user.ID, needs); err != nil {
		return Account{}, err
	}
	hash, err := s.prepare(ctx, &n)
	if err != nil {
		return Account{}, err
	}
	var a Account
	err = s.svc.inTx(ctx, func(q *db.Queries) error {
		e := audit.Entry{Action: "user.create", Object: userName(n.Username)}
		if a, err = s.add(ctx, q, user, n, hash, &e); err != nil {
			return err
		}
		e.Detail = map[string]any{"groups": a.Groups}
		if n.Superuser {
			e.Detail["superuser"] = true
			e.Granted = append(e.Granted, "superuser")
		} else if n.Staff {
			e.Detail["staff"] = true
			e.Granted = append(e.Granted, "staff")
		}
		return audit.Record(ctx, q, e)
	})
	return a, userTaken(err)
}

// prepare checks what a new user is to be, and hashes the password outside of any transaction.
func (s *Users) prepare(ctx context.Context, n *NewAccount) (hash *string, err error) {
	if n.Username, err = checkUsername(n.Username); err != nil {
		return nil, err
	}
	if err := n.validate(); err != nil {
		return nil, err
	}
	if n.Invite && n.Mail == "" {
		return nil, &refusal.Invalid{Field: "mail", Reason: "give an address to send the invitation to"}
	}
	if n.Password == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	if err := checkPassword(n.Password, n.Username, n.Mail); err != nil {
		return nil, err
	}
	h, err := s.svc.hasher.hash(ctx, n.Password)
	return &h, err
}

// add makes a user with groups, and the mail that invites them. It says in the entry what they have by those
// groups.
func (s *Users) add(
	ctx context.Context, q *db.Queries, by User, n NewAccount, hash *string, e *audit.Entry,
) (a Account, err error) {
	u, err := q.AddUser(ctx, db.AddUserParams{
		Username: n.Username, Mail: n.Mail, FirstName: n.FirstName,
		LastName: n.LastName, Phone: n.Phone, Department: n.Department,
		PasswordHash: hash, IsStaff: n.Staff || n.Superuser, IsSuperuser: n.Superuser,
	})
	if err != nil {
		return a, err
	}
	for _, name := range n.Groups {
		g, err := q.LockGroup(ctx, name)
		if errors.Is(err, pgx.ErrNoRows) {
			return a, &refusal.Invalid{Field: "groups", Reason: fmt.Sprintf("there is no group %q", name)}
		}
		if err != nil {
			return a, err
		}
		granted, lacked, err := join(ctx, q, by, g, u)
		if err != nil {
			return a, err
		}
		e.Granted, e.Lacked = append(e.Granted, granted...), append(e.Lacked, lacked...)
	}
	if n.Invite {
		if err := s.svc.Mails.invite(ctx, q, u); err != nil {
			return a, err
		}
	}
	return accountOf(ctx, q, u)
}

func userTaken(err error) error {
	if db.Violates(err, db.UniqueViolation) {
		return &refusal.Conflict{Reason: "another user already has this name; choose another one"}
	}
	return err
}

// Change changes a user. It is for staff; the accounts of staff and superusers, and who is one, are changed by
// superusers only. Who is disabled loses sessions and tokens for good, and running transfers stop at the next heartbeat
// of the process that runs them. The last active superuser stays one.
func (s *Users) Change(ctx context.Context, user User, username string, c AccountChange) (Account, error) {
	needs := Action{Staff: true, Superuser: c.Staff != nil || c.Superuser != nil}
	if err := s.svc.Check(ctx, user.ID, needs); err != nil {
		return Account{}, err
	}
	var a Account
	err := s.svc.inTx(ctx, func(q *db.Queries) error {
		if c.Active != nil || c.Superuser != nil {
			if _, err := q.LockSuperusers(ctx); err != nil {
				return err
			}
		}
		u, err := q.LockUser(ctx, username)
		if err != nil {
			return refusal.NotFound(err, "user", quote(username))
		}
		if err := cmp.Or(mayTouch(user, u), checkUser(ctx, u)); err != nil {
			return err
		}
		if c.Mail != nil || c.Username != nil {
			if err := mayTakeOver(ctx, q, user, u); err != nil {
				return err
			}
		}
		before := u
		if err := c.apply(&u); err != nil {
			return err
		}
		if err := keepsASuperuser(ctx, q, before, u.IsActive && u.IsSuperuser); err != nil {
			return err
		}
		u, err = q.UpdateUser(ctx, db.UpdateUserParams{
			ID: u.ID, Username: u.Username, Mail: u.Mail, FirstName: u.FirstName,
			LastName: u.LastName, Phone: u.Phone, Department: u.Department,
			IsActive: u.IsActive, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser,
		})
		if err != nil {
			return err
		}
		err = audit.Record(ctx, q, audit.Entry{
			Action: "user.change", Object: userName(before.Username),
			Detail: c.detail(), Granted: raised(before, u), Widens: !c.disables(),
		})
		if err != nil {
			return err
		}
		if err := s.follow(ctx, q, before, u); err != nil {
			return err
		}
		a, err = accountOf(ctx, q, u)
		return err
	})
	return a, userTaken(err)
}

// Version tells what staff may change about a user apart from what it was before.
func (a Account) Version() string {
	return version.Of(a.Username, a.Person, a.IsActive, a.IsStaff, a.IsSuperuser)
}

// checkUser refuses what is done to a locked user if the caller expects another version.
func checkUser(ctx context.Context, u db.User) error {
	return version.Check(ctx, Account{
		Username: u.Username, Person: Person{u.Mail, u.FirstName, u.LastName, u.Phone, u.Department},
		IsActive: u.IsActive, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser,
	}.Version())
}

// follow ends what lets a disabled user in, and what was sent to an address that is theirs no more.
func (s *Users) follow(ctx context.Context, q *db.Queries, before, after db.User) error {
	if !after.IsActive {
		if err := revokeAll(ctx, q, after.ID); err != nil {
			return err
		}
	}
	return s.moved(ctx, q, before, after)
}

// disables reports whether a change disables an account and does nothing else: a leak must be stopped at once, without
// a password.
func (c AccountChange) disables() bool {
	return c.Active != nil && !*c.Active && c == (AccountChange{Active: c.Active})
}

// raised says which rights an account has that it didn't have before.
func raised(before, after db.User) (rights []string) {
	if after.IsActive && !before.IsActive {
		rights = append(rights, "active")
	}
	if after.IsStaff && !before.IsStaff {
		rights = append(rights, "staff")
	}
	if after.IsSuperuser && !before.IsSuperuser {
		rights = append(rights, "superuser")
	}
	return rights
}

// moved ends the links that were sent to an address when it changes, and tells the old address: it may not have been
// the owner who changed it.
func (s *Users) moved(ctx context.Context, q *db.Queries, before, after db.User) error {
	if after.Mail != before.Mail {
		if err := q.DeletePasswordResets(ctx, after.ID); err != nil {
			return err
		}
		return s.svc.Mails.post(
			ctx, q, before, "Your mail address was changed",
			"mails for your account %q go to another address from now on; this address gets none. "+
				"If that was not you or your administrator, tell your administrator at once.", after.Username,
		)
	}
	if after.Username != before.Username {
		return s.svc.Mails.post(
			ctx, q, after, "Your username was changed",
			"the username of your account was changed from %[2]q to %[1]q. "+
				"If that was not you or your administrator, tell your administrator at once.",
			after.Username, before.Username,
		)
	}
	return nil
}

// mayTouch keeps staff off the accounts of staff and superusers.
func mayTouch(user User, target db.User) error {
	if target.IsStaff && !user.IsSuperuser {
		return &Denied{Reason: onlySuperusers}
	}
	return nil
}

// keepsASuperuser refuses what would leave nobody to administer ADIT. The superusers must be locked.
func keepsASuperuser(ctx context.Context, q *db.Queries, u db.User, stays bool) error {
	if !u.IsSuperuser || !u.IsActive || stays {
		return nil
	}
	all, err := q.LockSuperusers(ctx)
	if err == nil && len(all) < 2 {
		return &refusal.Conflict{Reason: "this is the last active superuser; make another user a superuser first"}
	}
	return err
}

// apply changes a row as far as the change says.
func (c AccountChange) apply(u *db.User) error {
	if c.Username != nil {
		name, err := checkUsername(*c.Username)
		if err != nil {
			return err
		}
		u.Username = name
	}
	p := Person{u.Mail, u.FirstName, u.LastName, u.Phone, u.Department}
	for _, f := range []struct{ to, from *string }{
		{&p.Mail, c.Mail},
		{&p.FirstName, c.FirstName},
		{&p.LastName, c.LastName},
		{&p.Phone, c.Phone},
		{&p.Department, c.Department},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if err := p.validate(); err != nil {
		return err
	}
	u.Mail, u.FirstName, u.LastName, u.Phone, u.Department = p.Mail, p.FirstName, p.LastName, p.Phone, p.Department
	for _, f := range []struct{ to, from *bool }{
		{&u.IsActive, c.Active}, {&u.IsStaff, c.Staff}, {&u.IsSuperuser, c.Superuser},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if u.IsSuperuser && c.Staff != nil && !*c.Staff {
		return &refusal.Invalid{Field: "staff", Reason: "superusers are always staff; remove both rights, or neither"}
	}
	u.IsStaff = u.IsStaff || u.IsSuperuser
	return nil
}

// detail names what was changed; of rights it says how.
func (c AccountChange) detail() map[string]any {
	d, fields := map[string]any{}, []string{}
	for name, value := range map[string]*string{
		"username": c.Username, "mail": c.Mail, "first_name": c.FirstName,
		"last_name": c.LastName, "phone": c.Phone, "department": c.Department,
	} {
		if value != nil {
			fields = append(fields, name)
		}
	}
	if c.Username != nil {
		d["username"] = *c.Username
	}
	for name, value := range map[string]*bool{"active": c.Active, "staff": c.Staff, "superuser": c.Superuser} {
		if value != nil {
			fields, d[name] = append(fields, name), *value
		}
	}
	slices.Sort(fields)
	d["fields"] = fields
	return d
}

// revokeAll ends whatever lets somebody in without a password.
func revokeAll(ctx context.Context, q *db.Queries, userID int64) error {
	if _, err := q.DeleteSessions(ctx, db.DeleteSessionsParams{UserID: userID, But: []byte{}}); err != nil {
		return err
	}
	if _, err := q.DeleteTokens(ctx, userID); err != nil {
		return err
	}
	return q.DeletePasswordResets(ctx, userID)
}

// Delete removes a user who owns no jobs; others are disabled instead, since their jobs tell what was moved. The
// rules are those of ChangeUser.
func (s *Users) Delete(ctx context.Context, user User, username string) error {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return err
	}
	err := s.svc.inTx(ctx, func(q *db.Queries) error {
		if _, err := q.LockSuperusers(ctx); err != nil {
			return err
		}
		u, err := q.LockUser(ctx, username)
		if err != nil {
			return refusal.NotFound(err, "user", quote(username))
		}
		if err := cmp.Or(mayTouch(user, u), checkUser(ctx, u)); err != nil {
			return err
		}
		if err := keepsASuperuser(ctx, q, u, false); err != nil {
			return err
		}
		if err := q.DeleteUser(ctx, u.ID); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{Action: "user.delete", Object: userName(u.Username)})
	})
	if db.Violates(err, db.ForeignKeyViolation) {
		return &refusal.Conflict{
			Reason: "this user owns jobs, which record what was transferred; disable the account instead",
		}
	}
	return err
}

// SetPassword gives a user another password, which ends all sessions of theirs, and all tokens unless they are to be
// kept. It is for staff that has all permissions of the account; for the accounts of staff and superusers, one's own
// included, it takes a superuser.
func (s *Passwords) SetPassword(ctx context.Context, user User, username, password string, keepTokens bool) error {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return err
	}
	u, err := s.svc.q.UserByName(ctx, username)
	if err != nil {
		return refusal.NotFound(err, "user", quote(username))
	}
	if err := mayTouch(user, u); err != nil {
		return err
	}
	if err := checkPassword(password, u.Username, u.Mail); err != nil {
		return err
	}
	hash, err := s.svc.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.svc.inTx(ctx, func(q *db.Queries) error {
		u, err := q.LockUserID(ctx, u.ID)
		if err != nil {
			return refusal.NotFound(err, "user", quote(username))
		}
		// they may have become staff
		if err := errors.Join(mayTouch(user, u), mayTakeOver(ctx, q, user, u)); err != nil {
			return err
		}
		if err := audit.Record(ctx, q, audit.Entry{Action: "password.set", Object: userName(u.Username)}); err != nil {
			return err
		}
		return s.putPassword(ctx, q, u, hash, nil, keepTokens)
	})
}

// putPassword changes a password, ends all sessions but the one kept, all links, and all tokens unless they are to be
// kept, and tells the owner. The first password of an account leaves its tokens: nobody could have had an older one.
func (s *Passwords) putPassword(
	ctx context.Context, q *db.Queries, u db.User, hash string, keep []byte, keepTokens bool,
) error {
	if keep == nil {
		keep = []byte{}
	}
	if err := q.SetPassword(ctx, db.SetPasswordParams{ID: u.ID, PasswordHash: &hash}); err != nil {
		return err
	}
	if _, err := q.DeleteSessions(ctx, db.DeleteSessionsParams{UserID: u.ID, But: keep}); err != nil {
		return err
	}
	if err := q.DeletePasswordResets(ctx, u.ID); err != nil {
		return err
	}
	revoked := ""
	if !keepTokens && u.PasswordHash != nil {
		n, err := q.DeleteTokens(ctx, u.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			revoked = fmt.Sprintf(" This revoked API tokens: %d.", n)
		}
	}
	return s.svc.Mails.post(
		ctx, q, u, "Your password was changed",
		"the password of your account %q was changed.%s If that was not you or your administrator, tell your "+
			"administrator at once.",
		u.Username, revoked,
	)
}

// ChangePassword changes one's own password. It ends all sessions but the one given (nil: none was used), and all
// tokens unless they are to be kept. A wrong current password counts as one of a login.
func (s *Passwords) ChangePassword(
	ctx context.Context, user User, session *Session, c PasswordChange, peer string,
) error {
	u, tries, err := s.svc.Sessions.knows(ctx, user, c.Current, peer, "current")
	if err != nil {
		return err
	}
	password := c.Password
	if err := checkPassword(password, u.Username, u.Mail); err != nil {
		return errors.Join(err, s.svc.q.DeleteAttempts(ctx, tries))
	}
	hash, err := s.svc.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	var keep []byte
	if session != nil {
		keep = session.hash
	}
	return s.svc.inTx(ctx, func(q *db.Queries) error {
		now, err := lockKnown(ctx, q, u)
		if err != nil {
			return err
		}
		if err := q.DeleteAttempts(ctx, tries); err != nil {
			return err
		}
		if err := s.putPassword(ctx, q, now, hash, keep, c.KeepTokens); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{Action: "password.change", Object: userName(u.Username)})
	})
}

// PasswordChange is another password for oneself.
type PasswordChange struct {
	Current, Password string
	KeepTokens        bool // otherwise they are revoked
}

// Profile is a user's own account, as the user sees it.
type Profile struct {
	Account
	ActiveGroup string // empty: none
	Permissions []string
	Preferences map[string]any // of the user interface
	// LockedSections keep this user out for now, by what SectionMessage says.
	LockedSections []string
	SectionMessage string
	EthicsIDNeeded bool   // a batch transfer needs the number of an application to the ethics committee
	TimeZone       string // of the site
}

// ProfileChange changes oneself: nil fields stay as they are.
type ProfileChange struct {
	Mail, FirstName, LastName, Phone, Department *string
	ActiveGroup                                  *string
	Preferences                                  map[string]any // those that change; the others stay as they are
}

const maxPreferences = 4 << 10 // bytes of JSON

// Profile returns one's own account.
func (s *Users) Profile(ctx context.Context, user User) (Profile, error) {
	u, err := s.svc.q.GetUser(ctx, user.ID)
	if err != nil {
		return Profile{}, err
	}
	p, err := profileOf(ctx, s.svc.q, u)
	if err != nil {
		return p, err
	}
	return s.withSite(ctx, p)
}

// withSite tells what the site means for the user: its time zone, and the locked sections that keep them out.
func (s *Users) withSite(ctx context.Context, p Profile) (Profile, error) {
	p.TimeZone = s.svc.timeZone
	settings, err := s.svc.Settings(ctx)
	if p.EthicsIDNeeded = settings.EthicsIDNeeded; p.IsStaff || p.IsSuperuser {
		return p, err
	}
	if p.LockedSections = settings.LockedSections; len(p.LockedSections) > 0 {
		p.SectionMessage = settings.SectionMessage
	}
	return p, err
}

func profileOf(ctx context.Context, q *db.Queries, u db.User) (p Profile, err error) {
	groups, err := q.GroupsOfUser(ctx, u.ID)
	if err != nil {
		return p, err
	}
	p.Account = accountWith(u, namesOf(groups))
	for _, g := range groups {
		if u.ActiveGroupID != nil && g.ID == *u.ActiveGroupID {
			p.ActiveGroup = g.Name
		}
	}
	if p.Permissions = AllPermissions(); !u.IsSuperuser {
		if p.Permissions, err = q.PermissionsOfUser(ctx, u.ID); err != nil {
			return p, err
		}
	}
	slices.Sort(p.Permissions)
	return p, json.Unmarshal(u.Preferences, &p.Preferences)
}

// ChangeProfile changes one's own account. All but the active group and the preferences takes the password.
func (s *Users) ChangeProfile(ctx context.Context, user User, c ProfileChange) (p Profile, err error) {
	change := AccountChange{
		Mail: c.Mail, FirstName: c.FirstName, LastName: c.LastName, Phone: c.Phone, Department: c.Department,
	}
	detail := change.detail()
	err = s.svc.inTx(ctx, func(q *db.Queries) error {
		u, err := q.LockUserID(ctx, user.ID)
		if err != nil {
			return err
		}
		before := u
		if err := change.apply(&u); err != nil {
			return err
		}
		if c.ActiveGroup != nil {
			if err := chooseGroup(ctx, q, &u, *c.ActiveGroup); err != nil {
				return err
			}
			detail["active_group"] = *c.ActiveGroup
		}
		if c.Preferences != nil {
			if u.Preferences, err = withPreferences(u.Preferences, c.Preferences); err != nil {
				return err
			}
			detail["preferences"] = true
		}
		u, err = q.UpdateProfile(ctx, db.UpdateProfileParams{
			ID: u.ID, Mail: u.Mail, FirstName: u.FirstName,
			LastName: u.LastName, Phone: u.Phone, Department: u.Department,
			ActiveGroupID: u.ActiveGroupID, Preferences: u.Preferences,
		})
		if err != nil {
			return err
		}
		if err := s.moved(ctx, q, before, u); err != nil {
			return err
		}
		if p, err = profileOf(ctx, q, u); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "me.change", Object: userName(u.Username),
			Detail: detail, Widens: change != (AccountChange{}),
		})
	})
	if err != nil {
		return p, err
	}
	return s.withSite(ctx, p)
}

// withPreferences returns preferences with those that change. What an interface kept of its own before is left alone.
func withPreferences(before []byte, change map[string]any) ([]byte, error) {
	all := map[string]any{}
	if err := json.Unmarshal(before, &all); err != nil {
		return nil, err
	}
	maps.Copy(all, change)
	text, err := json.Marshal(all)
	if err != nil || len(text) > maxPreferences || strings.Contains(string(text), `\u0000`) {
		return nil, &refusal.Invalid{Field: "preferences", Reason: fmt.Sprintf(
			"at most %d bytes of JSON, without null characters", maxPreferences,
		)}
	}
	return text, nil
}

func chooseGroup(ctx context.Context, q *db.Queries, u *db.User, name string) error {
	groups, err := q.GroupsOfUser(ctx, u.ID)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if strings.EqualFold(g.Name, name) {
			u.ActiveGroupID = &g.ID
			return nil
		}
	}
	return &refusal.Invalid{Field: "active_group", Reason: "you belong to no group of this name"}
}
