// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/client"
)

type groupCmd struct {
	List    groupListCmd    `cmd:"" help:"List groups and what they may do."`
	Add     groupAddCmd     `cmd:"" help:"Make a group with a default project."`
	Change  groupChangeCmd  `cmd:"" help:"Change the name or the permissions of a group."`
	Delete  groupDeleteCmd  `cmd:"" help:"Remove a group whose projects were never used."`
	Members groupMembersCmd `cmd:"" help:"List the members of a group."`
	Join    groupJoinCmd    `cmd:"" help:"Put users into a group."`
	Leave   groupLeaveCmd   `cmd:"" help:"Take users out of a group."`
	Access  groupAccessCmd  `cmd:"" help:"List which groups may use which DICOM nodes."`
	Allow   groupAllowCmd   `cmd:"" help:"Say how a group may use a DICOM node."`
}

type groupListCmd struct {
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run lists groups.
func (c *groupListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	groups, err := collect(cl.Groups(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, groups)
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tMEMBERS\tPERMISSIONS")
	for _, g := range groups {
		fmt.Fprintf(w, "%s\t%d\t%s\n", printable(g.Name), g.Members, strings.Join(g.Permissions, ", "))
	}
	return w.Flush()
}

type groupAddCmd struct {
	remote
	Name        string   `arg:"" help:"How it is called."`
	Permissions []string `placeholder:"PERMISSION,…" help:"What its members may do."`
}

// Run makes a group.
func (c *groupAddCmd) Run(ctx context.Context, io streams) error {
	g, err := asMyself(ctx, io, &c.remote, func(cl *client.Client) (client.Group, error) {
		return cl.AddGroup(ctx, client.NewGroup{Name: c.Name, Permissions: c.Permissions})
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Group %s was made, with a default project.\n", printable(g.Name))
	return nil
}

type groupChangeCmd struct {
	remote
	Name   string   `arg:"" help:"Which."`
	Rename *string  `placeholder:"NAME" help:"Another name."`
	Grant  []string `placeholder:"PERMISSION,…" help:"Permissions to add."`
	Revoke []string `placeholder:"PERMISSION,…" help:"Permissions to take away; \"all\": all of them. What runs by them stops."`
}

// Run changes a group.
func (c *groupChangeCmd) Run(ctx context.Context, io streams) error {
	if c.Rename == nil && len(c.Grant)+len(c.Revoke) == 0 {
		return usage("say what is to be changed: --rename, --grant or --revoke")
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	change := client.GroupChange{Name: c.Rename}
	if len(c.Grant)+len(c.Revoke) > 0 {
		g, err := cl.Group(ctx, c.Name)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(g.Permissions, func(p string) bool { return slices.Contains(c.Revoke, p) || slices.Contains(c.Revoke, "all") })
		left = append(left, c.Grant...)
		change.Permissions = &left
	}
	g, err := asMyself(ctx, io, &c.remote, func(cl *client.Client) (client.Group, error) { return cl.ChangeGroup(ctx, c.Name, change) })
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Group %s may: %s.\n", printable(g.Name), orNone(strings.Join(g.Permissions, ", ")))
	return nil
}

type groupDeleteCmd struct {
	remote
	Name string `arg:"" help:"Which."`
}

// Run removes a group.
func (c *groupDeleteCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.DeleteGroup(ctx, c.Name); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Group %s was removed.\n", printable(c.Name))
	return nil
}

type groupMembersCmd struct {
	remote
	Name string `arg:"" help:"Of which group."`
	JSON bool   `name:"json" help:"Write JSON."`
}

// Run lists members.
func (c *groupMembersCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	members, err := collect(cl.Members(ctx, c.Name))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, members)
	}
	for _, m := range members {
		fmt.Fprintln(io.out, printable(m.Username))
	}
	return nil
}

type groupJoinCmd struct {
	remote
	Name  string   `arg:"" help:"Which group."`
	Users []string `arg:"" help:"Whom."`
}

// Run puts users into a group.
func (c *groupJoinCmd) Run(ctx context.Context, io streams) error {
	_, err := asMyself(ctx, io, &c.remote, func(cl *client.Client) (none struct{}, err error) {
		for len(c.Users) > 0 {
			user := c.Users[0]
			if err := cl.AddMember(ctx, c.Name, user); err != nil {
				return none, err
			}
			c.Users = c.Users[1:] // who belongs to it is not asked for once more
			fmt.Fprintf(io.out, "User %s belongs to group %s.\n", printable(user), printable(c.Name))
		}
		return none, nil
	})
	return err
}

type groupLeaveCmd struct {
	remote
	Name  string   `arg:"" help:"Which group."`
	Users []string `arg:"" help:"Whom."`
}

// Run takes users out of a group.
func (c *groupLeaveCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	for _, user := range c.Users {
		if err := cl.RemoveMember(ctx, c.Name, user); err != nil {
			return err
		}
		fmt.Fprintf(io.out, "User %s no longer belongs to group %s.\n", printable(user), printable(c.Name))
	}
	return nil
}

type groupAccessCmd struct {
	remote
	Group string `placeholder:"NAME" help:"Only of this group."`
	Node  string `placeholder:"NAME" help:"Only to this DICOM node."`
	JSON  bool   `name:"json" help:"Write JSON."`
}

// Run lists access.
func (c *groupAccessCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	rows, err := collect(cl.Access(ctx, c.Group, c.Node))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, rows)
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GROUP\tNODE\tMAY USE IT AS")
	for _, a := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\n", printable(a.Group), printable(a.Node), uses(a))
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
	remote
	Group       string `arg:"" help:"Which group."`
	Node        string `arg:"" help:"Which DICOM node."`
	Source      bool   `help:"It may read from there."`
	Destination bool   `help:"It may send there."`
	None        bool   `help:"Neither: what runs by it stops."`
}

// Run says how a group may use a DICOM node.
func (c *groupAllowCmd) Run(ctx context.Context, io streams) error {
	if c.None == (c.Source || c.Destination) {
		return usage("say --source, --destination or both, or --none")
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	a, err := cl.SetAccess(ctx, client.Access{Group: c.Group, Node: c.Node, Source: c.Source, Destination: c.Destination})
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Group %s may use %s as %s.\n", printable(a.Group), printable(a.Node), uses(a))
	return nil
}
