import QtQuick
import QtQuick.Controls.Basic

AbstractButton {
    id: pill
    property string tone: "ok"
    readonly property var look: Tokens.tones[tone] ?? Tokens.tones.busy
    implicitHeight: 37
    implicitWidth: Math.min(label.implicitWidth + 56, 420)
    focusPolicy: Qt.StrongFocus
    Accessible.name: text
    Accessible.role: Accessible.Button
    Accessible.description: qsTr("Shows what is held back and why")
    Keys.onReturnPressed: clicked()
    contentItem: Item {
        Rectangle {
            id: dot
            x: 8
            anchors.verticalCenter: parent.verticalCenter
            width: 12
            height: 12
            radius: 6
            color: pill.look.text
        }
        Text {
            id: label
            anchors { left: dot.right; leftMargin: 8; right: parent.right; rightMargin: 8; verticalCenter: parent.verticalCenter }
            text: pill.text
            elide: Text.ElideMiddle
            color: pill.look.text
            font.pixelSize: Tokens.small
            font.weight: Font.DemiBold
        }
    }
    leftPadding: 10
    rightPadding: 10
    background: Rectangle {
        radius: height / 2
        color: pill.look.back
        FocusRing { control: pill }
    }
}
