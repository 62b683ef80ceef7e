// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/people"
)

// linkageRoutes are the routes of this file.
type linkageRoutes struct{ *API }

const (
	linkageTag  = "Linkage tables"
	linkageBody = 24 << 20 // 200,000 rows
)

func (a *linkageRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/projects/{name}/linkage:search",
		ID: "search-linkage", Tag: linkageTag, Errors: []int{404},
		Summary: "Search the linkage table of a project",
		Description: "Shows which patient is behind which pseudonym, in the order of trial and pseudonym. Give a " +
			"pseudonym or a Patient ID to look one up; an empty object shows all. Each look leaves a row in the " +
			"audit log.",
		Example: `{"pseudonym": "SUBJ-001"}`,
	}, a.searchLinkage)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/projects/{name}/linkage:export",
		ID: "export-linkage", Tag: linkageTag, Errors: []int{403, 404}, CSV: true,
		Summary: "Export the linkage table of a project",
		Description: "Streams the whole table, in the form that an import takes. It identifies patients: keep it " +
			"apart from the pseudonymized data.",
		Example: "Pseudonym,PatientID,Issuer\nSUBJ-001,PHANTOM-001,HOSPITAL\n",
	}, func(ctx context.Context, user people.User, in *ProjectName) (*route.Table, error) {
		write, err := a.engine.Projects.ExportLinkage(ctx, user, in.Name)
		if err != nil {
			return nil, err
		}
		return route.AsTable("linkage.csv", write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/projects/{name}/linkage:import",
		ID: "import-linkage", Tag: linkageTag, Errors: []int{404, 409},
		Body: linkageBody, Timeout: 2 * route.Quick, Raw: true,
		Summary: "Import pairs into the linkage table of a project",
		Description: "Adds the pairs of a CSV table with the columns Pseudonym, PatientID and, if wanted, Issuer. " +
			"It adds all of them, or none if a row is faulty; `errors` names the rows. Try it with `dry_run` first.",
		Example: "Pseudonym,PatientID,Issuer\nSUBJ-001,PHANTOM-001,HOSPITAL\n",
	}, a.importLinkage)
}

func (a *linkageRoutes) searchLinkage(ctx context.Context, user people.User, in *struct {
	ProjectName
	Body client.LinkFilter
},
) (*route.Body[client.Page[client.Link]], error) {
	want := in.Body
	if err := plainText(map[string]string{"pseudonym": want.Pseudonym, "patient_id": want.PatientID}); err != nil {
		return nil, err
	}
	f := projects.LinkFilter{Pseudonym: want.Pseudonym, PatientID: want.PatientID, Limit: want.Limit + 1}
	if want.Cursor != "" {
		var after [2]string
		text, err := base64.RawURLEncoding.DecodeString(want.Cursor)
		if err != nil || json.Unmarshal(text, &after) != nil ||
			plainText(map[string]string{"cursor": after[0] + after[1]}) != nil {
			return nil, page.Unknown()
		}
		f.AfterTrial, f.AfterPseudonym = after[0], after[1]
	}
	links, err := a.engine.Projects.Linkage(ctx, user, in.Name, f)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.Link]{Items: make([]client.Link, 0, len(links))}
	for i, l := range links {
		if i == want.Limit {
			last := links[i-1]
			text, err := json.Marshal([2]string{last.TrialProtocolID, last.Pseudonym})
			if err != nil {
				return nil, err
			}
			out.NextCursor, out.Truncated = base64.RawURLEncoding.EncodeToString(text), true
			break
		}
		out.Items = append(out.Items, client.Link(l))
	}
	return route.Answer(out), nil
}

func (a *linkageRoutes) importLinkage(ctx context.Context, user people.User, in *struct {
	ProjectName
	Issuer  string `query:"issuer" maxLength:"64" doc:"Issuer of the Patient IDs of rows that name none." example:"HOSPITAL"`
	DryRun  bool   `query:"dry_run" doc:"Check the table, and add nothing."`
	RawBody []byte `contentType:"text/csv"`
},
) (*route.Body[client.LinkageImport], error) {
	result, err := a.engine.Projects.ImportLinkage(
		ctx, user, in.Name, in.RawBody, projects.LinkageImport{Issuer: in.Issuer, DryRun: in.DryRun},
	)
	if err != nil {
		return nil, err
	}
	return route.Answer(client.LinkageImport{
		Added: result.Added, Present: result.Present, OtherThanSalt: result.OtherThanSalt, DryRun: in.DryRun,
	}), nil
}
