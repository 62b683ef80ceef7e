// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
)

type userCmd struct {
	List          userListCmd          `cmd:"" help:"List users."`
	Show          userShowCmd          `cmd:"" help:"Show a user. Default: yourself."`
	Add           userAddCmd           `cmd:"" help:"Make a user."`
	Change        userChangeCmd        `cmd:"" help:"Change a user."`
	Disable       userDisableCmd       `cmd:"" help:"Lock a user out: sessions and tokens end, and running transfers stop."`
	Enable        userEnableCmd        `cmd:"" help:"Let a disabled user log in again."`
	Delete        userDeleteCmd        `cmd:"" help:"Delete a user who owns no jobs."`
	Password      userPasswordCmd      `cmd:"" help:"Set a user's password, read from the standard input or a file. This ends the user's sessions and revokes their API tokens."`
	Use           userUseCmd           `cmd:"" help:"Show who used the API how much."`
	Registrations userRegistrationsCmd `cmd:"" help:"List people who asked for an account and wait for an answer."`
	Approve       userApproveCmd       `cmd:"" help:"Accept a registration: make the user, and send a mail with a link to choose a password."`
	Refuse        userRefuseCmd        `cmd:"" help:"Refuse a registration, and send a mail that says so."`
}

type userListCmd struct {
	command.Remote
	Search   string `placeholder:"TEXT" help:"Only users with this text in their username, name or mail address."`
	Disabled bool   `help:"Only disabled users."`
}

// Run lists users.
func (c *userListCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	f := client.UserFilter{Search: c.Search}
	if c.Disabled {
		f.Active = new(false)
	}
	users, err := command.Collect(cl.Users.List(ctx, f))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, users)
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "USERNAME\tNAME\tMAIL\tGROUPS\tRIGHTS\tPASSWORD")
	for _, u := range users {
		password := "none"
		if u.HasPassword {
			password = "yes"
		}
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%s\t%s\n", command.Printable(u.Username),
			command.Printable(strings.TrimSpace(u.FirstName+" "+u.LastName)), command.Printable(u.Mail),
			command.Printable(strings.Join(u.Groups, ", ")), rightsOf(u), password,
		)
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
	command.Remote
	Username string `complete:"user" arg:"" optional:"" help:"Username. Default: yourself."`
}

// Run shows a user.
func (c *userShowCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.Username == "" {
		me, err := cl.Account.Get(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return command.PrintJSON(io.Out, me)
		}
		fmt.Fprintf(
			io.Out, "%s: active group %s; groups: %s; permissions: %s.\n",
			command.Printable(me.Username), command.Printable(orNone(me.ActiveGroup)),
			command.Printable(orNone(strings.Join(me.Groups, ", "))), orNone(strings.Join(me.Permissions, ", ")),
		)
		return nil
	}
	u, err := cl.Users.Get(ctx, c.Username)
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, u)
	}
	fmt.Fprintf(
		io.Out, "%s (%s), mail %s; groups: %s; since %s.\n",
		command.Printable(u.Username), rightsOf(u), command.Printable(orNone(u.Mail)),
		command.Printable(orNone(strings.Join(u.Groups, ", "))), command.Stamp(u.CreatedAt),
	)
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
	return client.Person{
		Mail: value(f.Mail), FirstName: value(f.FirstName), LastName: value(f.LastName),
		Phone: value(f.Phone), Department: value(f.Department),
	}
}

type userAddCmd struct {
	command.Remote
	Username string `arg:"" help:"1 to 150 letters, digits and @ . + - _"`
	personFlags
	Groups       []string `complete:"group" placeholder:"GROUP,…" help:"Groups that the user joins."`
	Staff        bool     `help:"Make the user staff (superusers only)."`
	Superuser    bool     `help:"Make the user a superuser, and staff (superusers only)."`
	PasswordFile string   `env:"ADIT_PASSWORD_FILE" type:"path" placeholder:"FILE" help:"File with the user's password. Without it, the user has none yet: set one by adit user password, or use --invite."`
	Invite       bool     `help:"Send a mail with a link to choose a password."`
}

// Run makes a user.
func (c *userAddCmd) Run(ctx context.Context, io command.Streams) error {
	n := client.NewUser{
		Username: c.Username, Person: c.person(), Invite: c.Invite,
		IsStaff: c.Staff, IsSuperuser: c.Superuser, Groups: c.Groups,
	}
	if c.PasswordFile != "" {
		var err error
		if n.Password, err = command.ReadSecret(io.Err, "Password", c.PasswordFile); err != nil {
			return err
		}
	}
	u, err := command.AsMyself(
		ctx, io, &c.Remote, func(cl *client.Client) (client.User, error) { return cl.Users.Add(ctx, n) },
	)
	if err != nil {
		return err
	}
	command.Warn(io, u.Warning)
	return c.Say(io, u, "User %s was made.", command.Printable(u.Username))
}

type userChangeCmd struct {
	command.Remote
	Username string  `complete:"user" arg:"" help:"Username."`
	Rename   *string `placeholder:"NAME" help:"The new username."`
	personFlags
	Staff     *bool `negatable:"" help:"Make the user staff, or no longer staff (superusers only)."`
	Superuser *bool `negatable:"" help:"Make the user a superuser, or no longer one (superusers only)."`
}

// Run changes a user.
func (c *userChangeCmd) Run(ctx context.Context, io command.Streams) error {
	change := client.UserChange{
		Username: c.Rename, PersonChange: c.change(), IsStaff: c.Staff, IsSuperuser: c.Superuser,
	}
	if change == (client.UserChange{}) {
		return command.Usage("name at least one change; adit user change --help lists the flags")
	}
	return changeUser(ctx, io, &c.Remote, c.Username, change, "changed")
}

func changeUser(
	ctx context.Context, io command.Streams, r *command.Remote, username string, change client.UserChange, done string,
) error {
	u, err := command.AsMyself(
		ctx, io, r, func(cl *client.Client) (client.User, error) { return cl.Users.Change(ctx, username, change) },
	)
	if err != nil {
		return err
	}
	return r.Say(io, u, "User %s was %s.", command.Printable(u.Username), done)
}

type userDisableCmd struct {
	command.Remote
	Username string `complete:"user" arg:"" help:"Username."`
}

// Run keeps a user out.
func (c *userDisableCmd) Run(ctx context.Context, io command.Streams) error {
	return changeUser(ctx, io, &c.Remote, c.Username, client.UserChange{IsActive: new(false)}, "disabled")
}

type userEnableCmd struct {
	command.Remote
	Username string `complete:"user" arg:"" help:"Username."`
}

// Run lets a user in again.
func (c *userEnableCmd) Run(ctx context.Context, io command.Streams) error {
	return changeUser(ctx, io, &c.Remote, c.Username, client.UserChange{IsActive: new(true)}, "enabled")
}

type userDeleteCmd struct {
	command.Remote
	Username string `complete:"user" arg:"" help:"Username."`
}

// Run removes a user.
func (c *userDeleteCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Users.Delete(ctx, c.Username); err != nil {
		return err
	}
	return c.Say(
		io, command.Done{"done": "deleted", "user": c.Username}, "User %s was deleted.", command.Printable(c.Username),
	)
}

type userPasswordCmd struct {
	command.Remote
	Username     string `complete:"user" arg:"" help:"Username."`
	PasswordFile string `env:"ADIT_PASSWORD_FILE" type:"path" placeholder:"FILE" help:"File with the password. Default: the standard input."`
	KeepTokens   bool   `help:"Leave the user's API tokens valid. By default they are revoked."`
}

// Run sets a password.
func (c *userPasswordCmd) Run(ctx context.Context, io command.Streams) error {
	password, err := command.ReadSecret(io.Err, "Password", c.PasswordFile)
	if err != nil {
		return err
	}
	change := client.NewPassword{Password: password, KeepTokens: client.KeepTokens{KeepTokens: c.KeepTokens}}
	_, err = command.AsMyself(ctx, io, &c.Remote, func(cl *client.Client) (none struct{}, err error) {
		return none, cl.Users.SetPassword(ctx, c.Username, change)
	})
	if err != nil {
		return err
	}
	also := ", and API tokens that were made under an earlier password are revoked"
	if c.KeepTokens {
		also = ""
	}
	return c.Say(
		io, command.Done{"done": "password_set", "user": c.Username, "keep_tokens": c.KeepTokens},
		"The password of user %s was set. All of the user's sessions have ended%s.", command.Printable(c.Username), also,
	)
}

type userRegistrationsCmd struct {
	command.Remote
}

// Run lists registrations.
func (c *userRegistrationsCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	rows, err := command.Collect(cl.Registrations.List(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(io.Out, "Nobody asks for an account.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tUSERNAME\tNAME\tMAIL\tDEPARTMENT\tSINCE\tMESSAGE")
	for _, r := range rows {
		fmt.Fprintf(
			w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, command.Printable(r.Username),
			command.Printable(strings.TrimSpace(r.FirstName+" "+r.LastName)), command.Printable(r.Mail),
			command.Printable(r.Department), command.Stamp(r.CreatedAt), command.Printable(r.Message),
		)
	}
	return w.Flush()
}

type userApproveCmd struct {
	command.Remote
	ID       int64    `arg:"" help:"Number of the registration, as adit user registrations shows it."`
	Username string   `placeholder:"NAME" help:"Another username than the one asked for."`
	Groups   []string `complete:"group" placeholder:"GROUP,…" help:"Groups that the user joins."`
}

// Run approves a registration.
func (c *userApproveCmd) Run(ctx context.Context, io command.Streams) error {
	u, err := command.AsMyself(ctx, io, &c.Remote, func(cl *client.Client) (client.User, error) {
		return cl.Registrations.Approve(ctx, c.ID, client.Approval{Username: c.Username, Groups: c.Groups})
	})
	if err != nil {
		return err
	}
	command.Warn(io, u.Warning)
	return c.Say(
		io, u, "User %s was made, and gets a mail with a link to choose a password.", command.Printable(u.Username),
	)
}

type userRefuseCmd struct {
	command.Remote
	ID     int64  `arg:"" help:"Number of the registration, as adit user registrations shows it."`
	Reason string `placeholder:"TEXT" help:"The reason, for the mail."`
}

// Run refuses a registration.
func (c *userRefuseCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Registrations.Refuse(ctx, c.ID, client.Refusal{Reason: c.Reason}); err != nil {
		return err
	}
	return c.Say(io, command.Done{"done": "refused", "registration": c.ID}, "The registration was refused.")
}
