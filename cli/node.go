// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/adit-go/adit/client"
)

type nodeCmd struct {
	Add    nodeAddCmd    `cmd:"" help:"Add a server or folder."`
	List   nodeListCmd   `cmd:"" help:"List servers and folders."`
	Check  nodeCheckCmd  `cmd:"" help:"Try whether a server answers and offers its services, or a folder is writable."`
	Remove nodeRemoveCmd `cmd:"" help:"Remove a server or folder that no job names."`
}

type nodeAddCmd struct {
	Server nodeAddServerCmd `cmd:"" help:"Add a server."`
	Folder nodeAddFolderCmd `cmd:"" help:"Add a folder of the machine that the server runs on."`
}

type nodeAddServerCmd struct {
	remote
	Name                string        `arg:"" help:"How it is called in ADIT."`
	AETitle             string        `name:"ae-title" required:"" placeholder:"AET" help:"Its AE title."`
	Host                string        `required:"" help:"Its host name or IP address."`
	Port                int           `required:"" help:"Its port."`
	Supports            []string      `required:"" placeholder:"SERVICE" help:"What it offers: find, get, move (study root), store; patient-find, patient-get, patient-move (patient root)."`
	CallingAETitle      string        `name:"calling-ae-title" placeholder:"AET" help:"The AE title that ADIT uses there, if not its own."`
	BatchCap            *int          `placeholder:"N" help:"Most associations at once for jobs (4); 0 closes it for jobs."`
	InteractiveCap      *int          `placeholder:"N" help:"Most associations at once for searches and checks (2)."`
	AssociationsPerTask int           `placeholder:"N" help:"Associations that one task may use to store (4)."`
	ResultLimit         int           `placeholder:"N" help:"Most results of a search (200)."`
	IdleTimeout         time.Duration `placeholder:"D" help:"Without any progress for so long, an association is given up (60s)."`
}

// Run adds the server.
func (c *nodeAddServerCmd) Run(ctx context.Context, io streams) error {
	supports, err := parseSupports(c.Supports)
	if err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	_, err = cl.AddServer(ctx, client.ServerSettings{
		Name: c.Name, AETitle: c.AETitle, Host: c.Host, Port: c.Port, CallingAETitle: c.CallingAETitle, Supports: supports,
		ResultLimit: c.ResultLimit, IdleTimeout: int(c.IdleTimeout / time.Second), BatchCap: c.BatchCap, InteractiveCap: c.InteractiveCap,
		AssociationsPerTask: c.AssociationsPerTask,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "DICOM Server %s was added; adit node check %s tries it.\n", c.Name, quoted(c.Name))
	return nil
}

// quoted makes a name one word of a shell.
func quoted(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@") == "" {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

func parseSupports(list []string) (client.Supports, error) {
	var s client.Supports
	flags := map[string]*bool{
		"find": &s.StudyRootFind, "get": &s.StudyRootGet, "move": &s.StudyRootMove, "store": &s.Store,
		"patient-find": &s.PatientRootFind, "patient-get": &s.PatientRootGet, "patient-move": &s.PatientRootMove,
	}
	for _, name := range list {
		flag, ok := flags[strings.ToLower(strings.TrimSpace(name))]
		if !ok {
			return s, usage("--supports: %q is not one of find, get, move, store, patient-find, patient-get, patient-move", name)
		}
		*flag = true
	}
	return s, nil
}

func supportsWords(s client.Supports) string {
	var list []string
	for _, f := range []struct {
		on   bool
		name string
	}{
		{s.StudyRootFind, "find"},
		{s.StudyRootGet, "get"},
		{s.StudyRootMove, "move"},
		{s.Store, "store"},
		{s.PatientRootFind, "patient-find"},
		{s.PatientRootGet, "patient-get"},
		{s.PatientRootMove, "patient-move"},
	} {
		if f.on {
			list = append(list, f.name)
		}
	}
	return strings.Join(list, ",")
}

type nodeAddFolderCmd struct {
	remote
	Name string `arg:"" help:"How it is called in ADIT."`
	Path string `required:"" type:"path" placeholder:"DIR" help:"The folder; it must be there and writable for the server."`
}

// Run adds the folder.
func (c *nodeAddFolderCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if _, err := cl.AddFolder(ctx, client.FolderSettings{Name: c.Name, Path: c.Path}); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "DICOM Folder %s was added.\n", c.Name)
	return nil
}

type nodeListCmd struct {
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run lists the nodes.
func (c *nodeListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	nodes := []client.Node{}
	for n, err := range cl.Nodes(ctx) {
		if err != nil {
			return err
		}
		nodes = append(nodes, n)
	}
	if c.JSON {
		return printJSON(io.out, nodes)
	}
	if len(nodes) == 0 {
		fmt.Fprintln(io.out, "There are no DICOM nodes yet; adit node add adds one.")
		return nil
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tWHERE\tSUPPORTS")
	for _, n := range nodes {
		if n.Server != nil {
			fmt.Fprintf(w, "%s\tserver\t%s at %s:%d\t%s\n", printable(n.Name), printable(n.Server.AETitle), n.Server.Host, n.Server.Port, supportsWords(n.Server.Supports))
		} else if n.Folder != nil {
			fmt.Fprintf(w, "%s\tfolder\t%s\t\n", printable(n.Name), printable(n.Folder.Path))
		}
	}
	return w.Flush()
}

type nodeCheckCmd struct {
	remote
	Name string `arg:"" help:"Name of the server or folder."`
	JSON bool   `name:"json" help:"Write JSON."`
}

// Run checks the node. The exit code is 1 if a check failed.
func (c *nodeCheckCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	checks, err := cl.CheckNode(ctx, c.Name)
	if err != nil {
		return err
	}
	failed := 0
	for _, check := range checks {
		if !check.OK {
			failed++
		}
	}
	if c.JSON {
		err = printJSON(io.out, checks)
	} else {
		for _, check := range checks {
			word := "ok    "
			if !check.OK {
				word = "FAILED"
			}
			fmt.Fprintf(io.out, "%s  %s: %s\n", word, check.Name, printable(check.Detail))
		}
	}
	if failed > 0 {
		err = errors.Join(err, &status{code: exitFailure})
	}
	return err
}

type nodeRemoveCmd struct {
	remote
	Name string `arg:"" help:"Name of the server or folder."`
}

// Run removes the node.
func (c *nodeRemoveCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.DeleteNode(ctx, c.Name); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%s was removed.\n", c.Name)
	return nil
}
