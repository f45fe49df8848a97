pragma Singleton
import QtQuick

// Colours, sizes and type: the only place that knows them.
QtObject {
    readonly property bool dark: scheme.dark

    readonly property color page: dark ? "#10131a" : "#f5f6fb"
    readonly property color card: dark ? "#1b1d29" : "#ffffff"
    readonly property color line: dark ? "#2a2d3b" : "#e5e7f0"
    readonly property color text: dark ? "#f2f3f8" : "#14161f"
    readonly property color quiet: dark ? "#9aa0b4" : "#646b7e"
    readonly property color accent: dark ? "#8b85ff" : "#5650df"
    readonly property color accentSoft: dark ? "#26244a" : "#ebeafe"
    readonly property color accentSofter: dark ? "#201f3a" : "#f5f4ff"
    readonly property color track: dark ? "#2a2d39" : "#e9ebf4"
    readonly property color handle: dark ? "#4a4f61" : "#c6cad8"
    readonly property color off: dark ? "#3d4253" : "#d3d7e3"
    readonly property color hover: dark ? "#232634" : "#f3f4fa"
    readonly property color bad: dark ? "#ff6b78" : "#c8323f"
    readonly property color badSoft: dark ? "#3a1d25" : "#fdecee"
    readonly property color inkOnAccent: dark ? "#14161f" : "#ffffff"

    readonly property var tones: ({
        ok: { text: dark ? "#3fd397" : "#12835c", back: dark ? "#17342a" : "#e2f6ee" },
        busy: { text: dark ? "#a09bff" : "#5650df", back: dark ? "#26244a" : "#ebeafe" },
        paused: { text: dark ? "#b4b9c9" : "#5b6275", back: dark ? "#262936" : "#e9ebf4" },
        offline: { text: dark ? "#f2b650" : "#8a5a00", back: dark ? "#38301d" : "#fdf1da" },
        attention: { text: dark ? "#ff8a94" : "#b92735", back: dark ? "#3a1d25" : "#fdecee" }
    })
    readonly property var tiles: ({
        video: ["#7b5cff", "#ff6fc0"], archive: ["#0ea894", "#8fc63f"], image: ["#35d0dd", "#5a7fe0"],
        document: ["#f7941e", "#ffd200"], sound: ["#8593a6", "#656f86"], folder: ["#6a7bff", "#4b44d6"],
        other: ["#7d8799", "#565f73"]
    })

    readonly property int gap: 15
    readonly property int margin: 30
    readonly property int radius: 18
    readonly property int smallRadius: 10
    readonly property int title: 22
    readonly property int heading: 20
    readonly property int body: 17
    readonly property int small: 15
    readonly property int tiny: 13
}
