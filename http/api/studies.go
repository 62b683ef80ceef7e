// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// studiesRoutes are the routes of this file.
type studiesRoutes struct{ *API }

const searchTag = "Search"

type searchStudies struct {
	NodeName
	Body client.StudyQuery
}

func (a *studiesRoutes) register() {
	handle(a.API, operation{
		method: http.MethodPost, path: "/servers/{name}/studies:search", id: "search-studies", tag: searchTag,
		timeout: patient, errors: []int{404, 502},
		summary: "Search a server for studies",
		description: "Asks a DICOM server by C-FIND and answers with what it has. Give at least one criterion. " +
			"There are no pages: `truncated` tells that the limit cut the answer, and a narrower search shows the " +
			"rest. The criteria travel in the body, so that no log of addresses holds a patient's value.",
		example: `{"patient_id": "PHANTOM-001", "modality": "CT,MR"}`,
	}, a.searchStudies)
}

func (a *studiesRoutes) searchStudies(ctx context.Context, user people.User, in *searchStudies) (
	*body[client.Page[client.Study]], error,
) {
	out, wanted := client.Page[client.Study]{Items: []client.Study{}}, view.StudySearch(in.Body)
	wanted.Cut = &out.Truncated
	for study, err := range a.engine.Query.Studies(ctx, user, in.Name, wanted) {
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, view.Study(study))
	}
	return &body[client.Page[client.Study]]{out}, nil
}
