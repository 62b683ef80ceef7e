// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

type searchStudies struct {
	NodeName
	PatientID       string `query:"patient_id" doc:"Exact."`
	PatientName     string `query:"patient_name" doc:"\"Last, First\" or in DICOM form, with * and ? as wildcards."`
	StudyDateFrom   string `query:"study_date_from" doc:"YYYYMMDD or YYYY-MM-DD, inclusive."`
	StudyDateTo     string `query:"study_date_to" doc:"YYYYMMDD or YYYY-MM-DD, inclusive."`
	Modality        string `query:"modality" doc:"One that is in the study; or several with commas, one of which is." example:"CT,MR"`
	AccessionNumber string `query:"accession_number" doc:"Exact."`
	Limit           int    `query:"limit" minimum:"1" maximum:"1000" doc:"Most results; the server's result limit by default. truncated tells whether there were more."`
}

func (a *API) registerStudies() {
	handle(a, operation{
		method: http.MethodGet, path: "/servers/{name}/studies", id: "search-studies", tag: "Search", timeout: patient,
		summary: "Ask a server for studies; at least one criterion is needed", errors: []int{403, 404, 502},
	}, a.searchStudies)
}

func (a *API) searchStudies(ctx context.Context, user people.User, in *searchStudies) (*body[client.Page[client.Study]], error) {
	out := client.Page[client.Study]{Items: []client.Study{}}
	found := a.engine.SearchStudies(ctx, user, in.Name, engine.Search{
		PatientID: in.PatientID, PatientName: in.PatientName, StudyDateFrom: dicomDate(in.StudyDateFrom), StudyDateTo: dicomDate(in.StudyDateTo),
		Modality: in.Modality, AccessionNumber: in.AccessionNumber, Limit: in.Limit, Cut: &out.Truncated,
	})
	for study, err := range found {
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, clientStudy(study))
	}
	return &body[client.Page[client.Study]]{out}, nil
}

// dicomDate turns a date of ISO 8601 into DICOM's form, and leaves all else for the engine to judge.
func dicomDate(date string) string {
	date = strings.TrimSpace(date)
	if len(date) == 10 && date[4] == '-' && date[7] == '-' {
		return strings.ReplaceAll(date, "-", "")
	}
	return date
}

func clientStudy(s engine.FoundStudy) client.Study {
	return client.Study{
		StudyInstanceUID: s.StudyInstanceUID, PatientID: s.PatientID, PatientName: s.PatientName, PatientBirthDate: s.PatientBirthDate,
		PatientSex: s.PatientSex, StudyDate: s.StudyDate, StudyTime: s.StudyTime, StudyDescription: s.StudyDescription,
		AccessionNumber: s.AccessionNumber, ModalitiesInStudy: append([]string{}, s.ModalitiesInStudy...),
		Series: known(s.Series), Instances: known(s.Instances),
	}
}

// known leaves out a number that the server doesn't give.
func known(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}
