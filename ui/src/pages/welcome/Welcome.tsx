// SPDX-License-Identifier: AGPL-3.0-or-later

import { lazy, Suspense, useState } from 'react';

const FirstPassword = lazy(() => import('./FirstPassword'));
const FirstPacs = lazy(() => import('./FirstPacs'));
const WhoMayUseIt = lazy(() => import('./WhoMayUseIt'));
const FirstSearch = lazy(() => import('./FirstSearch'));

type At = 'password' | 'pacs' | 'another' | 'people' | 'search';

/** Welcome leads the administrator through the first run: by the code of a link before anybody can log in. */
export default function Welcome() {
  return (
    <Suspense fallback={null}>
      <Steps />
    </Suspense>
  );
}

function Steps() {
  const [code] = useState(() => location.hash.slice(1));
  const [at, go] = useState<At>(code ? 'password' : 'pacs');
  const [added, add] = useState<string[]>([]); // names of DICOM nodes
  switch (at) {
    case 'password':
      return <FirstPassword code={code} onDone={() => go('pacs')} />;
    case 'pacs':
    case 'another':
      return (
        <FirstPacs
          key={at}
          another={at === 'another'}
          onBack={() => go('people')}
          onDone={(name) => {
            add([...added, name]);
            go('people');
          }}
        />
      );
    case 'people':
      return (
        <WhoMayUseIt
          added={added}
          onFolder={(name) => add([...added, name])}
          onAnother={() => go('another')}
          onDone={() => go('search')}
        />
      );
    case 'search':
      return <FirstSearch source={added[0]} />;
  }
}
