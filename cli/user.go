// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/client"
)

type userCmd struct {
	List          userListCmd          `cmd:"" help:"List users."`
	Show          userShowCmd          `cmd:"" help:"Show a user; without a name, yourself."`
	Add           userAddCmd           `cmd:"" help:"Make a user."`
	Change        userChangeCmd        `cmd:"" help:"Change a user."`
	Disable       userDisableCmd       `cmd:"" help:"Keep a user out: sessions and tokens end, and running transfers stop."`
	Enable        userEnableCmd        `cmd:"" help:"Let a disabled user in again."`
	Delete        userDeleteCmd        `cmd:"" help:"Remove a user who owns no jobs."`
	Password      userPasswordCmd      `cmd:"" help:"Set a user's password, read from the standard input or a file; it ends all sessions of theirs, and revokes their API tokens."`
	Registrations userRegistrationsCmd `cmd:"" help:"List those who asked for an account and wait for an answer."`
	Approve       userApproveCmd       `cmd:"" help:"Make a user of a registration, who gets a mail to choose a password."`
	Refuse        userRefuseCmd        `cmd:"" help:"Refuse a registration, with a mail to who asked."`
}

type userListCmd struct {
	remote
	Search   string `placeholder:"TEXT" help:"Only those with this in username, names or mail address."`
	Disabled bool   `help:"Only disabled ones."`
	JSON     bool   `name:"json" help:"Write JSON."`
}

// Run lists users.
func (c *userListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	f := client.UserFilter{Search: c.Search}
	if c.Disabled {
		f.Active = new(false)
	}
	users, err := collect(cl.Users(ctx, f))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, users)
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "USERNAME\tNAME\tMAIL\tGROUPS\tRIGHTS\tPASSWORD")
	for _, u := range users {
		password := "none"
		if u.HasPassword {
			password = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", printable(u.Username), printable(strings.TrimSpace(u.FirstName+" "+u.LastName)), printable(u.Mail),
			printable(strings.Join(u.Groups, ", ")), rightsOf(u), password)
	}
	return w.Flush()
}

func rightsOf(u client.User) string {
	switch {
	case !u.IsActive:
		return "disabled"
	case u.IsSuperuser:
		return "superuser"
	case u.IsStaff:
		return "staff"
	}
	return "-"
}

type userShowCmd struct {
	remote
	Username string `arg:"" optional:"" help:"Whom; yourself by default."`
	JSON     bool   `name:"json" help:"Write JSON."`
}

// Run shows a user.
func (c *userShowCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if c.Username == "" {
		me, err := cl.Me(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(io.out, me)
		}
		fmt.Fprintf(io.out, "%s: active group %s; groups: %s; permissions: %s.\n", printable(me.Username), printable(orNone(me.ActiveGroup)),
			printable(orNone(strings.Join(me.Groups, ", "))), orNone(strings.Join(me.Permissions, ", ")))
		return nil
	}
	u, err := cl.User(ctx, c.Username)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, u)
	}
	fmt.Fprintf(io.out, "%s (%s), mail %s; groups: %s; since %s.\n", printable(u.Username), rightsOf(u), printable(orNone(u.Mail)),
		printable(orNone(strings.Join(u.Groups, ", "))), clock(u.CreatedAt))
	return nil
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// personFlags say how somebody is called and reached.
type personFlags struct {
	Mail       *string `placeholder:"ADDRESS" help:"Mail address."`
	FirstName  *string `placeholder:"NAME" help:"First name."`
	LastName   *string `placeholder:"NAME" help:"Last name."`
	Phone      *string `placeholder:"NUMBER" help:"Phone number."`
	Department *string `placeholder:"NAME" help:"Department."`
}

func (f personFlags) change() client.PersonChange { return client.PersonChange(f) }

func (f personFlags) person() client.Person {
	return client.Person{Mail: value(f.Mail), FirstName: value(f.FirstName), LastName: value(f.LastName), Phone: value(f.Phone), Department: value(f.Department)}
}

type userAddCmd struct {
	remote
	Username string `arg:"" help:"1 to 150 letters, digits and @ . + - _"`
	personFlags
	Groups       []string `placeholder:"GROUP,…" help:"Groups to put them into."`
	Staff        bool     `help:"Make them staff (superusers only)."`
	Superuser    bool     `help:"Make them a superuser, and staff (superusers only)."`
	PasswordFile string   `env:"ADIT_PASSWORD_FILE" type:"path" placeholder:"FILE" help:"File with their password. Without, they have none yet: set one with adit user password, or --invite."`
	Invite       bool     `help:"Send a mail with a link to choose a password."`
}

// Run makes a user.
func (c *userAddCmd) Run(ctx context.Context, io streams) error {
	n := client.NewUser{Username: c.Username, Person: c.person(), Invite: c.Invite, IsStaff: c.Staff, IsSuperuser: c.Superuser, Groups: c.Groups}
	if c.PasswordFile != "" {
		var err error
		if n.Password, err = readSecret(io.err, "Password", c.PasswordFile); err != nil {
			return err
		}
	}
	u, err := asMyself(ctx, io, &c.remote, func(cl *client.Client) (client.User, error) { return cl.AddUser(ctx, n) })
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "User %s was made.\n", printable(u.Username))
	warn(io, u.Warning)
	return nil
}

type userChangeCmd struct {
	remote
	Username string  `arg:"" help:"Whom."`
	Rename   *string `placeholder:"NAME" help:"Another username."`
	personFlags
	Staff     *bool `negatable:"" help:"Make them staff, or no longer (superusers only)."`
	Superuser *bool `negatable:"" help:"Make them a superuser, or no longer (superusers only)."`
}

// Run changes a user.
func (c *userChangeCmd) Run(ctx context.Context, io streams) error {
	change := client.UserChange{Username: c.Rename, PersonChange: c.change(), IsStaff: c.Staff, IsSuperuser: c.Superuser}
	if change == (client.UserChange{}) {
		return usage("say what is to be changed; adit user change --help lists what can be")
	}
	return changeUser(ctx, io, &c.remote, c.Username, change, "changed")
}

func changeUser(ctx context.Context, io streams, r *remote, username string, change client.UserChange, done string) error {
	u, err := asMyself(ctx, io, r, func(cl *client.Client) (client.User, error) { return cl.ChangeUser(ctx, username, change) })
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "User %s was %s.\n", printable(u.Username), done)
	return nil
}

type userDisableCmd struct {
	remote
	Username string `arg:"" help:"Whom."`
}

// Run keeps a user out.
func (c *userDisableCmd) Run(ctx context.Context, io streams) error {
	return changeUser(ctx, io, &c.remote, c.Username, client.UserChange{IsActive: new(false)}, "disabled")
}

type userEnableCmd struct {
	remote
	Username string `arg:"" help:"Whom."`
}

// Run lets a user in again.
func (c *userEnableCmd) Run(ctx context.Context, io streams) error {
	return changeUser(ctx, io, &c.remote, c.Username, client.UserChange{IsActive: new(true)}, "enabled")
}

type userDeleteCmd struct {
	remote
	Username string `arg:"" help:"Whom."`
}

// Run removes a user.
func (c *userDeleteCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.DeleteUser(ctx, c.Username); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "User %s was removed.\n", printable(c.Username))
	return nil
}

type userPasswordCmd struct {
	remote
	Username     string `arg:"" help:"Whose."`
	PasswordFile string `env:"ADIT_PASSWORD_FILE" type:"path" placeholder:"FILE" help:"File with the password; it is read from the standard input by default."`
	KeepTokens   bool   `help:"Leave the user's API tokens valid; they are revoked by default."`
}

// Run sets a password.
func (c *userPasswordCmd) Run(ctx context.Context, io streams) error {
	password, err := readSecret(io.err, "Password", c.PasswordFile)
	if err != nil {
		return err
	}
	change := client.NewPassword{Password: password, KeepTokens: client.KeepTokens{KeepTokens: c.KeepTokens}}
	_, err = asMyself(ctx, io, &c.remote, func(cl *client.Client) (none struct{}, err error) {
		return none, cl.SetPassword(ctx, c.Username, change)
	})
	if err != nil {
		return err
	}
	also := ", and the API tokens that were made under an earlier password"
	if c.KeepTokens {
		also = ""
	}
	fmt.Fprintf(io.out, "User %s has this password now; all sessions of theirs have ended%s.\n", printable(c.Username), also)
	return nil
}

type userRegistrationsCmd struct {
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run lists registrations.
func (c *userRegistrationsCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	rows, err := collect(cl.Registrations(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, rows)
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tUSERNAME\tNAME\tMAIL\tDEPARTMENT\tSINCE\tMESSAGE")
	for _, r := range rows {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, printable(r.Username), printable(strings.TrimSpace(r.FirstName+" "+r.LastName)), printable(r.Mail),
			printable(r.Department), clock(r.CreatedAt), printable(r.Message))
	}
	return w.Flush()
}

type userApproveCmd struct {
	remote
	ID       int64    `arg:"" help:"As adit user registrations shows it."`
	Username string   `placeholder:"NAME" help:"Another username than was wished."`
	Groups   []string `placeholder:"GROUP,…" help:"Groups to put them into."`
}

// Run approves a registration.
func (c *userApproveCmd) Run(ctx context.Context, io streams) error {
	u, err := asMyself(ctx, io, &c.remote, func(cl *client.Client) (client.User, error) {
		return cl.Approve(ctx, c.ID, client.Approval{Username: c.Username, Groups: c.Groups})
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "User %s was made, and gets a mail to choose a password.\n", printable(u.Username))
	warn(io, u.Warning)
	return nil
}

type userRefuseCmd struct {
	remote
	ID     int64  `arg:"" help:"As adit user registrations shows it."`
	Reason string `placeholder:"TEXT" help:"For the mail to who asked."`
}

// Run refuses a registration.
func (c *userRefuseCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.Refuse(ctx, c.ID, client.Refusal{Reason: c.Reason}); err != nil {
		return err
	}
	fmt.Fprintln(io.out, "The registration was refused.")
	return nil
}
