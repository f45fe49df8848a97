pragma Singleton
import QtQuick

QtObject {
    readonly property string upload: "M12 16V4 M7 9l5-5 5 5 M4 15v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3"
    readonly property string folder: "M3 7a2 2 0 0 1 2-2h4l2 2.5h8a2 2 0 0 1 2 2V17a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z"
    readonly property string settings: "M12 8.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7 M12 2v3 M12 19v3 M2 12h3 M19 12h3 M4.9 4.9l2.1 2.1 M17 17l2.1 2.1 M19.1 4.9L17 7 M7 17l-2.1 2.1"
    readonly property string link: "M10 13.5a4.5 4.5 0 0 0 6.6.4l2.6-2.6a4.5 4.5 0 0 0-6.4-6.4l-1.3 1.3 M14 10.5a4.5 4.5 0 0 0-6.6-.4l-2.6 2.6a4.5 4.5 0 0 0 6.4 6.4l1.3-1.3"
    readonly property string play: "M7 5l11 7-11 7z"
    readonly property string pause: "M8 6v12 M16 6v12"
    readonly property string retry: "M4 5v5h5 M4.6 10a8 8 0 1 1-.4 4"
    readonly property string close: "M6 6l12 12 M18 6L6 18"
    readonly property string back: "M15 5l-7 7 7 7"
    readonly property string check: "M5 12.5l4.5 4.5L19 7.5"
}
