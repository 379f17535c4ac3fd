// What every view is written with: Preact, with templates instead of a compiler.
import htm from "htm";
import { h } from "preact";

export { Component, Fragment, render } from "preact";
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export const html = htm.bind(h);
