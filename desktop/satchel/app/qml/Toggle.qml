import QtQuick
import QtQuick.Controls.Basic

// Something that is on or off; says what is wished, and shows what is so.
AbstractButton {
    id: toggle
    property bool on: false
    signal wished(bool on)
    implicitHeight: 40
    implicitWidth: 46 + 12 + Math.ceil(word.implicitWidth)
    width: Math.min(implicitWidth, parent.width)
    focusPolicy: Qt.StrongFocus
    hoverEnabled: true
    Accessible.role: Accessible.CheckBox
    Accessible.name: text
    Accessible.checkable: true
    Accessible.checked: on
    Keys.onReturnPressed: clicked()
    Keys.onEnterPressed: clicked()
    onClicked: wished(!on)

    contentItem: Item {
        Rectangle {
            id: track
            anchors.verticalCenter: parent.verticalCenter
            width: 46
            height: 26
            radius: 13
            color: toggle.on ? (toggle.hovered ? Qt.darker(Tokens.accent, 1.07) : Tokens.accent) : toggle.hovered ? Tokens.handle : Tokens.off
            Rectangle { x: toggle.on ? parent.width - width - 3 : 3; y: 3; width: 20; height: 20; radius: 10; color: toggle.on ? Tokens.inkOnAccent : "#ffffff" }
            FocusRing { control: toggle }
        }
        Text {
            id: word
            anchors { left: track.right; leftMargin: 12; right: parent.right; verticalCenter: parent.verticalCenter }
            text: toggle.text
            elide: Text.ElideRight
            color: Tokens.text
            font.pixelSize: Tokens.small
        }
    }
}
