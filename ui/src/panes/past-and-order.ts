/** Two panes as one file: each file that is fetched has some 600 bytes in its headers. */

export { InspectorPane } from "./inspector";
export { ReplayPane } from "./replay";
