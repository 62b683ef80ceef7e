// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/people"
)

// foldersRoutes are the routes of this file.
type foldersRoutes struct{ *API }

func (a *foldersRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/folders", ID: "list-folders",
		Summary: "List folders with their limits", Tag: nodesTag,
		Description: "Shows the folders that transfers write to, with their paths, quotas and the space that they " +
			"use. For names alone, or as a user without staff rights, use `GET /nodes`.",
	}, a.listFolders)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/folders", ID: "add-folder", Summary: "Add a folder", Tag: nodesTag,
		Status: http.StatusCreated, Errors: []int{409},
		Description: "Makes a directory of the machine a destination for transfers. It has to exist and to be " +
			"writable; ADIT puts a marker file into it, so that an empty mount point is not mistaken for it. " +
			"Nobody may send to it until a group gets access (`PUT /access`).",
		Example: `{"name": "research", "path": "/srv/studies", "quota_gb": 500, "warn_gb": 450}`,
	}, a.addFolder)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/folders/{name}", ID: "get-folder", Editable: true,
		Summary:     "Get a folder with its limits",
		Description: "Shows a folder with its path, quota and the space that it uses.", Tag: nodesTag, Errors: []int{404},
	}, func(ctx context.Context, _ people.User, in *getNode) (*route.Current[client.Folder], error) {
		n, err := a.nodeOfKind(ctx, in.Name, client.KindFolder)
		if err != nil {
			return nil, err
		}
		return route.UnlessKnown(in.IfNoneMatch, n.Version(), clientFolder(n)), nil
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/folders/{name}", ID: "delete-folder", Editable: true,
		Summary: "Remove a folder from ADIT", Tag: nodesTag,
		Status: http.StatusNoContent, Errors: []int{404, 409},
		Description: "Takes a folder out of ADIT's list; its files stay where they are. A folder that a job names " +
			"can't be removed (409).",
	}, a.deleteNode(client.KindFolder))
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPatch, Path: "/folders/{name}", ID: "change-folder", Editable: true,
		Summary: "Change the limits of a folder, or adopt a new disk", Tag: nodesTag,
		Errors: []int{404, 409},
		Description: "Changes the properties that are given and leaves the others. With `adopt` the directory that " +
			"is at the path now becomes the folder: use it after a disk was replaced or restored.",
		Example: `{"quota_gb": 800}`,
	}, a.changeFolder)
}

func (a *foldersRoutes) listFolders(ctx context.Context, user people.User, in *NamedList) (
	*route.Body[client.Page[client.Folder]], error,
) {
	return listNodesOf(ctx, a.API, user, *in, nodes.Filter{Kind: client.KindFolder}, clientFolder)
}

func (a *foldersRoutes) addFolder(
	ctx context.Context, user people.User, in *struct{ Body client.FolderSettings },
) (*route.Created[client.Folder], error) {
	n, err := a.engine.Nodes.AddFolder(ctx, user, nodes.NewFolder{
		Name: in.Body.Name, Path: in.Body.Path, FolderLimits: nodes.FolderLimits(in.Body.FolderLimits),
	})
	if err != nil {
		return nil, err
	}
	return route.MadeAt("/folders", n.Name, clientFolder(n)), nil
}

func (a *foldersRoutes) changeFolder(ctx context.Context, user people.User, in *struct {
	NodeName
	route.IfMatch
	Body client.FolderChange
},
) (*route.Changed[client.Folder], error) {
	var n nodes.DICOMNode
	var err error
	if in.Body.Adopt { // first, as it may be refused
		n, err = a.engine.Nodes.AdoptFolder(ctx, user, in.Name)
	}
	if limits := in.Body.QuotaGB != nil || in.Body.WarnGB != nil; err == nil && (limits || !in.Body.Adopt) {
		n, err = a.engine.Nodes.ChangeFolder(ctx, user, in.Name, func(l *nodes.FolderLimits) {
			set(&l.QuotaGB, in.Body.QuotaGB)
			set(&l.WarnGB, in.Body.WarnGB)
		})
	}
	if err != nil {
		return nil, err
	}
	return route.ChangedTo(n.Version(), clientFolder(n)), nil
}

func clientFolder(n nodes.DICOMNode) client.Folder {
	return client.Folder{
		ID: n.ID, CreatedAt: n.CreatedAt, UsedGB: float64(n.Usage.Bytes) / 1e9, CountedAt: n.Usage.MeasuredAt,
		FolderSettings: client.FolderSettings{
			Name: n.Name, Path: n.Folder.Path,
			FolderLimits: client.FolderLimits{QuotaGB: n.Folder.QuotaGb, WarnGB: n.Folder.WarnGb},
		},
	}
}
