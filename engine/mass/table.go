// SPDX-License-Identifier: AGPL-3.0-or-later

package mass

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/internal/refusal"
)

// filterColumns are the columns of a table of filters, named as the properties of a filter.
func filterColumns() []batch.Column {
	return []batch.Column{
		{Name: "mode", Kind: batch.DescriptionColumn},
		{Name: "modality", Kind: batch.ModalitiesColumn},
		{Name: "institution_name", Kind: batch.DescriptionColumn},
		{Name: "apply_institution_on_study", Kind: batch.DescriptionColumn},
		{Name: "study_description", Kind: batch.DescriptionColumn},
		{Name: "series_description", Kind: batch.DescriptionColumn},
		{Name: "series_number", Kind: batch.NumbersColumn},
		{Name: "min_age", Kind: batch.NumbersColumn},
		{Name: "max_age", Kind: batch.NumbersColumn},
		{Name: "min_number_of_series_related_instances", Kind: batch.NumbersColumn},
	}
}

// Read makes filters of a table, .xlsx or CSV: one of each row, none twice.
func Read(ctx context.Context, file []byte) (Filters, error) {
	t, err := batch.Open(ctx, bytes.NewReader(file), int64(len(file)), batch.Options{
		Columns: filterColumns(), Rows: maxFilters,
	})
	if err != nil {
		return nil, err
	}
	if len(t.Extra) > 0 {
		return nil, &refusal.Invalid{Field: "file", Reason: fmt.Sprintf(
			"no filter has what the column %s is about; remove it, or name it as a property of a filter", t.Extra[0],
		)}
	}
	if len(t.Faults) > 0 {
		return nil, &refusal.Invalid{Field: "file", Reason: t.Faults[0].Sentence}
	}
	var list Filters
	for row, err := range t.Rows(ctx) {
		if err != nil {
			return nil, err
		}
		f, err := filterOf(row)
		if err != nil {
			return nil, &refusal.Invalid{Field: "file", Reason: fmt.Sprintf("row %d: %v", row.Row, err)}
		}
		if !slices.ContainsFunc(list, func(other Filter) bool { return reflect.DeepEqual(f, other) }) {
			list = append(list, f)
		}
	}
	if len(list) == 0 {
		return nil, &refusal.Invalid{Field: "file", Reason: "the table has no row with a filter"}
	}
	return list, nil
}

func filterOf(row *batch.Row) (f Filter, err error) {
	if row.Broken != "" {
		return f, fmt.Errorf("%s", row.Broken)
	}
	columns := filterColumns()
	for i, cell := range row.Cells {
		if cell.Sentence != "" {
			return f, fmt.Errorf("%s: %s", columns[i].Name, cell.Sentence)
		}
		if err := f.set(columns[i].Name, strings.TrimSpace(cell.Text)); err != nil {
			return f, err
		}
	}
	if field, reason := f.tidy(); reason != "" {
		return f, fmt.Errorf("%s", strings.TrimPrefix(field+": "+reason, "."))
	}
	return f, nil
}

// set sets what a column is about.
func (f *Filter) set(column, value string) error {
	if value == "" {
		return nil
	}
	number := func(to **int) error {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return fmt.Errorf("%s: one whole number", column)
		}
		*to = new(int(n))
		return nil
	}
	switch column {
	case "mode":
		f.Mode = strings.ToLower(value)
	case "modality":
		f.Modality = value
	case "institution_name":
		f.InstitutionName = value
	case "apply_institution_on_study":
		on, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil {
			return fmt.Errorf("%s: true or false", column)
		}
		f.InstitutionOnStudy = &on
	case "study_description":
		f.StudyDescription = value
	case "series_description":
		f.SeriesDescription = value
	case "series_number":
		return number(&f.SeriesNumber)
	case "min_age":
		return number(&f.MinAge)
	case "max_age":
		return number(&f.MaxAge)
	default:
		return number(&f.MinInstances)
	}
	return nil
}
