// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// nodesRoutes are the routes of this file.
type nodesRoutes struct{ *API }

const nodesTag = "DICOM nodes"

// NodeName names a DICOM node in a path.
type NodeName struct {
	Name string `path:"name" doc:"Name of the DICOM node, in any case of letters." maxLength:"255" example:"PACS"`
}

type getNode struct {
	NodeName
	route.IfNoneMatch
}

type nodeOfVersion struct {
	NodeName
	route.IfMatch
}

// NamedList is a page of a list that is sorted by names.
type NamedList struct {
	route.Paging
	Sort string `query:"sort" enum:"id,-id,name,-name" default:"id" example:"name" doc:"What the list is sorted by; with - downwards. id: as they were added."`
}

type listNodes struct {
	NamedList
	Kind        string `query:"kind" enum:"server,folder" example:"server" doc:"Only servers or only folders."`
	Source      string `query:"source" enum:"true,false" example:"true" doc:"Only those that you may read from; false: only others."`
	Destination string `query:"destination" enum:"true,false" example:"true" doc:"Only those that you may send to; false: only others."`
}

func (a *nodesRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/nodes", ID: "list-nodes",
		Summary: "List servers and folders", Tag: nodesTag,
		Description: "Shows all DICOM nodes by name, and what the caller may do there: read from them as a source, " +
			"send to them as a destination. Staff also sees where they are and how they are set.",
	}, a.listNodes)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/nodes/{name}", ID: "get-node",
		Summary: "Get a server or folder", Tag: nodesTag, Errors: []int{404},
		Description: "Shows one DICOM node, what the caller may do there, and whether it is paused or can't be " +
			"reached. Staff also sees its settings.",
	}, a.getNode)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/nodes/{name}", ID: "delete-node", Editable: true,
		Summary: "Remove a server or folder", Tag: nodesTag,
		Status: http.StatusNoContent, Errors: []int{404, 409},
		Description: "Takes a DICOM node, of either kind, out of ADIT's list. One that a job names can't be " +
			"removed (409).",
	}, a.deleteNode(""))
}

func (a *nodesRoutes) listNodes(ctx context.Context, user people.User, in *listNodes) (
	*route.Body[client.Page[client.Node]], error,
) {
	shown, err := a.nodeView(ctx, user)
	if err != nil {
		return nil, err
	}
	return listNodesOf(ctx, a.API, user, in.NamedList, nodes.Filter{
		Kind: in.Kind, Source: yesOrNo(in.Source), Destination: yesOrNo(in.Destination),
	}, shown)
}

// nameOf returns the value of a list that is sorted by names, or by none.
func nameOf(o page.Order, name string) string {
	if o.By == "id" {
		return ""
	}
	return name
}

// listNodesOf lists servers, folders or both.
func listNodesOf[C any](
	ctx context.Context, a *API, user people.User, in NamedList, f nodes.Filter, convert func(nodes.DICOMNode) C,
) (*route.Body[client.Page[C]], error) {
	o, err := page.Parse(in.Sort, in.Cursor)
	if err != nil {
		return nil, err
	}
	f.Order, f.Limit = o, in.Limit+1
	list, err := a.engine.Nodes.List(ctx, user, f)
	if err != nil {
		return nil, err
	}
	return route.Ordered(list, in.Limit, o, convert, func(n nodes.DICOMNode) (string, int64) {
		return nameOf(o, n.Name), n.ID
	}), nil
}

// yesOrNo reads a parameter that may be left out.
func yesOrNo(value string) *bool {
	if value == "" {
		return nil
	}
	return new(value == "true")
}

func (a *nodesRoutes) getNode(ctx context.Context, user people.User, in *NodeName) (*route.Body[client.Node], error) {
	n, err := a.engine.Nodes.ByName(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	shown, err := a.nodeView(ctx, user)
	if err != nil {
		return nil, err
	}
	return route.Answer(shown(n)), nil
}

// nodeOfKind returns a server, a folder, or either if no kind is named, by its name.
func (a *API) nodeOfKind(ctx context.Context, name, kind string) (nodes.DICOMNode, error) {
	n, err := a.engine.Nodes.ByName(ctx, name)
	if err == nil && kind != "" && (n.Server == nil) != (kind == client.KindFolder) {
		err = fmt.Errorf("DICOM %s %q: %w", kind, name, refusal.ErrNotFound)
	}
	return n, err
}

func (a *API) deleteNode(kind string) func(context.Context, people.User, *nodeOfVersion) (*route.None, error) {
	return func(ctx context.Context, user people.User, in *nodeOfVersion) (*route.None, error) {
		n, err := a.nodeOfKind(ctx, in.Name, kind)
		if err != nil {
			return nil, err
		}
		return nil, a.engine.Nodes.Delete(ctx, user, n.ID)
	}
}

// nodeView returns how a user sees DICOM nodes: what they are called, what the user may do there, and whether they are
// paused. Where they are and how they are set is for staff.
func (a *API) nodeView(ctx context.Context, user people.User) (func(nodes.DICOMNode) client.Node, error) {
	uses, err := a.people.Groups.NodeUses(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	return func(n nodes.DICOMNode) client.Node {
		out := client.Node{
			ID: n.ID, Kind: client.KindServer, Name: n.Name, Source: uses[n.ID].Source,
			Destination: uses[n.ID].Destination, Paused: n.Paused,
			Takes: n.Takes, NextProbe: view.Instant(n.NextProbe),
		}
		if n.Folder != nil {
			out.Kind = client.KindFolder
		}
		if n.Takes != nil {
			out.TakesOf = &n.Of
		}
		if user.IsStaff || user.IsSuperuser || out.Source || out.Destination {
			out.Down = n.Down
		}
		if !user.IsStaff && !user.IsSuperuser {
			return out
		}
		if n.Folder != nil {
			f := clientFolder(n)
			out.Folder = &f
		} else {
			s := clientServer(n)
			out.Server = &s
		}
		return out
	}, nil
}
