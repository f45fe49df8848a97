import QtQuick
import QtQuick.Controls.Basic

// `kind`: soft (tinted), plain (outlined), strong (filled), bare (an icon only), quiet (words only).
Button {
    id: button
    property string kind: "plain"
    property string glyph: ""
    property string hint: text
    property bool centred: text === "" || glyph === ""

    readonly property color ink: kind === "strong" ? Tokens.inkOnAccent : kind === "soft" ? Tokens.accent : kind === "quiet" && !hovered ? Tokens.quiet : Tokens.text

    implicitHeight: 41
    leftPadding: text ? (glyph ? 12 : 16) : 11
    rightPadding: text ? 16 : 11
    spacing: 9
    hoverEnabled: true
    focusPolicy: Qt.StrongFocus
    opacity: enabled ? 1 : 0.5
    Accessible.name: hint
    Accessible.role: Accessible.Button
    Keys.onReturnPressed: clicked()
    Keys.onEnterPressed: clicked()
    Hint { control: button; words: button.hint === button.text ? "" : button.hint }

    contentItem: Item {
        implicitWidth: inside.implicitWidth
        implicitHeight: inside.implicitHeight
        Row {
            id: inside
            x: button.centred ? Math.round((parent.width - width) / 2) : 0
            anchors.verticalCenter: parent.verticalCenter
            spacing: button.spacing
            Icon {
                visible: button.glyph !== ""
                anchors.verticalCenter: parent.verticalCenter
                width: button.text ? 17 : 24
                height: width
                path: button.glyph
                color: button.ink
                stroke: button.text ? 2.2 : 2
            }
            Text {
                visible: button.text !== ""
                anchors.verticalCenter: parent.verticalCenter
                text: button.text
                color: button.ink
                font.pixelSize: Tokens.small + (button.kind === "quiet" ? -1 : 1)
                font.weight: button.kind === "quiet" ? Font.Medium : Font.DemiBold
            }
        }
    }
    background: Rectangle {
        radius: button.text ? Tokens.smallRadius : 14
        color: button.kind === "strong" ? (button.down ? Qt.darker(Tokens.accent, 1.15) : button.hovered ? Qt.darker(Tokens.accent, 1.07) : Tokens.accent)
            : button.kind === "soft" ? (button.down || button.hovered ? Qt.tint(Tokens.accentSoft, Qt.alpha(Tokens.accent, button.down ? 0.18 : 0.09)) : Tokens.accentSoft)
            : button.down ? Tokens.track : button.hovered ? Tokens.hover : button.kind === "quiet" ? "transparent" : Tokens.card
        border.width: button.kind === "plain" ? 1 : 0
        border.color: Tokens.line
        FocusRing { control: button }
    }
}
