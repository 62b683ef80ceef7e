// SPDX-License-Identifier: AGPL-3.0-or-later

import { queryColumns } from '../../batch/columns';
import { HelpText } from '../../batch/HelpText';

/** QueryHelp is what there is to say about the page. */
export default function QueryHelp() {
  return (
    <HelpText
      kind="batch_query"
      columns={queryColumns}
      does={
        <>
          ADIT asks one or more servers for the studies that each row of a file describes. Nothing is
          transferred: the results are a table, which a batch transfer takes as it is. Under <b>Run again</b>{' '}
          you have it asked again and again: each run then gives what earlier ones have not found.
        </>
      }
      ends={
        <>
          <b>Success:</b> the row was asked; that a known patient has no such study is a result, too.{' '}
          <b>Warning:</b> the row was asked, but look at it: several Patient IDs have this name and birth
          date, or the server may have more than it gives. <b>Failure:</b> the server does not know the
          patient, knows another one by this ID, or did not answer. Failed rows can be downloaded, corrected
          and used again.
        </>
      }
    />
  );
}
