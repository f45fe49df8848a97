import QtQuick

// Shown for the keyboard's focus only.
Rectangle {
    required property Item control
    visible: control.visualFocus ?? control.activeFocus
    anchors.fill: parent
    anchors.margins: -3
    radius: parent.radius + 3
    color: "transparent"
    border.width: 2
    border.color: Tokens.accent
}
