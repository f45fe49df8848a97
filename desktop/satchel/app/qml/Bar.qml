import QtQuick
import QtQuick.Controls.Basic

// A thin scroll bar in the margin, there only when there is something to scroll to.
ScrollBar {
    id: bar
    required property Flickable flickable
    readonly property bool needed: flickable.contentHeight + flickable.topMargin + flickable.bottomMargin > flickable.height + 1
    policy: needed ? ScrollBar.AlwaysOn : ScrollBar.AlwaysOff
    padding: 0
    rightPadding: 9
    topPadding: 5
    bottomPadding: 5
    focusPolicy: Qt.NoFocus
    Accessible.ignored: true
    contentItem: Rectangle {
        implicitWidth: 8
        radius: 4
        color: bar.pressed || bar.hovered ? Tokens.quiet : Tokens.handle
    }
    background: null
}
