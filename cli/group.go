// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	stdio "io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
)

type groupCmd struct {
	List    groupListCmd    `cmd:"" help:"List groups and their permissions."`
	Add     groupAddCmd     `cmd:"" help:"Make a group with a default project."`
	Change  groupChangeCmd  `cmd:"" help:"Change the name or the permissions of a group."`
	Delete  groupDeleteCmd  `cmd:"" help:"Delete a group whose projects were never used."`
	Members groupMembersCmd `cmd:"" help:"List the members of a group."`
	Join    groupJoinCmd    `cmd:"" help:"Add users to a group."`
	Leave   groupLeaveCmd   `cmd:"" help:"Remove users from a group."`
	Access  groupAccessCmd  `cmd:"" help:"List which groups may use which DICOM nodes."`
	Allow   groupAllowCmd   `cmd:"" help:"Set how a group may use a DICOM node."`
}

type groupListCmd struct {
	command.Remote
}

// Run lists groups.
func (c *groupListCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	groups, err := command.Collect(cl.Groups.List(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, groups)
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tMEMBERS\tPERMISSIONS")
	for _, g := range groups {
		fmt.Fprintf(w, "%s\t%d\t%s\n", command.Printable(g.Name), g.Members, strings.Join(g.Permissions, ", "))
	}
	return w.Flush()
}

type groupAddCmd struct {
	command.Remote
	Name        string   `arg:"" help:"Name of the group."`
	Permissions []string `placeholder:"PERMISSION,…" help:"Permissions of its members."`
}

// Run makes a group.
func (c *groupAddCmd) Run(ctx context.Context, io command.Streams) error {
	g, err := command.AsMyself(ctx, io, &c.Remote, func(cl *client.Client) (client.Group, error) {
		return cl.Groups.Add(ctx, client.NewGroup{Name: c.Name, Permissions: c.Permissions})
	})
	if err != nil {
		return err
	}
	return c.Say(io, g, "Group %s was made, with a default project.", command.Printable(g.Name))
}

type groupChangeCmd struct {
	command.Remote
	Name   string   `complete:"group" arg:"" help:"Name of the group."`
	Rename *string  `placeholder:"NAME" help:"The new name."`
	Grant  []string `placeholder:"PERMISSION,…" help:"Permissions to add."`
	Revoke []string `placeholder:"PERMISSION,…" help:"Permissions to remove; \"all\": all of them. Running transfers that need them stop."`
}

// Run changes a group.
func (c *groupChangeCmd) Run(ctx context.Context, io command.Streams) error {
	if c.Rename == nil && len(c.Grant)+len(c.Revoke) == 0 {
		return command.Usage("name at least one change: --rename, --grant or --revoke")
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	change := client.GroupChange{Name: c.Rename}
	if len(c.Grant)+len(c.Revoke) > 0 {
		g, err := cl.Groups.Get(ctx, c.Name)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(
			g.Permissions,
			func(p string) bool { return slices.Contains(c.Revoke, p) || slices.Contains(c.Revoke, "all") },
		)
		left = append(left, c.Grant...)
		change.Permissions = &left
	}
	g, err := command.AsMyself(
		ctx, io, &c.Remote,
		func(cl *client.Client) (client.Group, error) { return cl.Groups.Change(ctx, c.Name, change) },
	)
	if err != nil {
		return err
	}
	return c.Say(
		io, g, "Permissions of group %s: %s.", command.Printable(g.Name), orNone(strings.Join(g.Permissions, ", ")),
	)
}

type groupDeleteCmd struct {
	command.Remote
	Name string `complete:"group" arg:"" help:"Name of the group."`
}

// Run removes a group.
func (c *groupDeleteCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Groups.Delete(ctx, c.Name); err != nil {
		return err
	}
	return c.Say(
		io, command.Done{"done": "deleted", "group": c.Name}, "Group %s was deleted.", command.Printable(c.Name),
	)
}

type groupMembersCmd struct {
	command.Remote
	Name string `complete:"group" arg:"" help:"Name of the group."`
}

// Run lists members.
func (c *groupMembersCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	members, err := command.Collect(cl.Groups.Members(ctx, c.Name))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, members)
	}
	for _, m := range members {
		fmt.Fprintln(io.Out, command.Printable(m.Username))
	}
	return nil
}

// membersCmd names users and a group that they join or leave.
type membersCmd struct {
	command.Remote
	Name  string   `complete:"group" arg:"" help:"Name of the group."`
	Users []string `complete:"user" arg:"" help:"Usernames."`
}

// sayMembers answers with what was done for each user; with --json it is one list.
func (c *membersCmd) sayMembers(io command.Streams, list []command.Done, sentence string) error {
	return c.Tell(io, list, func(w stdio.Writer) error {
		for _, d := range list {
			fmt.Fprintf(w, sentence+"\n", command.Printable(fmt.Sprint(d["user"])), command.Printable(c.Name))
		}
		return nil
	})
}

type groupJoinCmd struct{ membersCmd }

// Run puts users into a group.
func (c *groupJoinCmd) Run(ctx context.Context, io command.Streams) error {
	joined := []command.Done{}
	_, err := command.AsMyself(ctx, io, &c.Remote, func(cl *client.Client) (none struct{}, err error) {
		for len(c.Users) > 0 {
			if err := cl.Groups.AddMember(ctx, c.Name, c.Users[0]); err != nil {
				return none, err
			}
			joined = append(joined, command.Done{"done": "joined", "user": c.Users[0], "group": c.Name})
			c.Users = c.Users[1:] // a second call, with the password, doesn't add a member again
		}
		return none, nil
	})
	if err != nil && len(joined) == 0 {
		return err
	}
	return errors.Join(c.sayMembers(io, joined, "User %s belongs to group %s."), err)
}

type groupLeaveCmd struct{ membersCmd }

// Run takes users out of a group.
func (c *groupLeaveCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	left := []command.Done{}
	for _, user := range c.Users {
		if err = cl.Groups.RemoveMember(ctx, c.Name, user); err != nil {
			break
		}
		left = append(left, command.Done{"done": "left", "user": user, "group": c.Name})
	}
	if err != nil && len(left) == 0 {
		return err
	}
	return errors.Join(c.sayMembers(io, left, "User %s no longer belongs to group %s."), err)
}

type groupAccessCmd struct {
	command.Remote
	Group string `complete:"group" placeholder:"NAME" help:"Only the access of this group."`
	Node  string `complete:"node" placeholder:"NAME" help:"Only access to this DICOM node."`
}

// Run lists access.
func (c *groupAccessCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	rows, err := command.Collect(cl.Groups.Access(ctx, c.Group, c.Node))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(io.Out, "No group may use a DICOM node.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GROUP\tNODE\tMAY USE IT AS")
	for _, a := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\n", command.Printable(a.Group), command.Printable(a.Node), uses(a))
	}
	return w.Flush()
}

func uses(a client.Access) string {
	switch {
	case a.Source && a.Destination:
		return "source and destination"
	case a.Source:
		return "source"
	case a.Destination:
		return "destination"
	}
	return "nothing"
}

type groupAllowCmd struct {
	command.Remote
	Group       string `complete:"group" arg:"" help:"Name of the group."`
	Node        string `complete:"node" arg:"" help:"Name of the DICOM node."`
	Source      bool   `help:"The group may read from it."`
	Destination bool   `help:"The group may send to it."`
	None        bool   `help:"The group may not use it; running transfers stop."`
}

// Run says how a group may use a DICOM node.
func (c *groupAllowCmd) Run(ctx context.Context, io command.Streams) error {
	if c.None == (c.Source || c.Destination) {
		return command.Usage("give --source, --destination or both; or --none")
	}
	a, err := command.AsMyself(ctx, io, &c.Remote, func(cl *client.Client) (client.Access, error) {
		return cl.Groups.SetAccess(ctx, client.Access{
			Group: c.Group, Node: c.Node, Source: c.Source, Destination: c.Destination,
		})
	})
	if err != nil {
		return err
	}
	return c.Say(
		io, a, "Group %s may use %s as %s.", command.Printable(a.Group), command.Printable(a.Node), uses(a),
	)
}
