import QtQuick
import QtQuick.Controls.Basic
import QtQuick.Shapes

AbstractButton {
    id: zone
    signal browse
    signal dropped(var urls)
    readonly property bool over: area.containsDrag
    focusPolicy: Qt.StrongFocus
    Accessible.name: qsTr("Drop files or folders to share, or press to browse")
    Accessible.role: Accessible.Button
    Keys.onReturnPressed: browse()
    Keys.onEnterPressed: browse()
    onClicked: browse()

    background: Rectangle {
        radius: 22
        color: zone.over ? Tokens.accentSofter : Tokens.card
        FocusRing { control: zone }
        Shape {
            anchors.fill: parent
            ShapePath {
                strokeColor: Tokens.accent
                strokeWidth: zone.over ? 3 : 2
                fillColor: "transparent"
                strokeStyle: zone.over ? ShapePath.SolidLine : ShapePath.DashLine
                dashPattern: [5, 3.2]
                PathRectangle { x: 1.5; y: 1.5; width: zone.width - 3; height: zone.height - 3; radius: 21 }
            }
        }
    }
    contentItem: Item {
        Column {
            anchors.centerIn: parent
            spacing: 0
            Rectangle {
                anchors.horizontalCenter: parent.horizontalCenter
                width: 65
                height: 65
                radius: 33
                color: Tokens.accentSoft
                visible: zone.height > 150
                Icon { anchors.centerIn: parent; width: 32; height: 32; path: Icons.upload; color: Tokens.accent }
            }
            Item { width: 1; height: 12; visible: zone.height > 150 }
            Text {
                anchors.horizontalCenter: parent.horizontalCenter
                text: zone.over ? qsTr("Let go to share") : qsTr("Drop files or folders to share")
                color: Tokens.text
                font.pixelSize: Tokens.title
                font.weight: Font.DemiBold
                font.letterSpacing: -0.4
            }
            Item { width: 1; height: 9 }
            Row {
                anchors.horizontalCenter: parent.horizontalCenter
                spacing: 6
                Text {
                    text: zone.width > 480 ? qsTr("The link is copied the moment you let go, or") : qsTr("or")
                    color: Tokens.quiet
                    font.pixelSize: Tokens.small
                }
                Text { text: qsTr("browse"); color: Tokens.accent; font.pixelSize: Tokens.small; font.weight: Font.DemiBold }
            }
        }
    }
    DropArea {
        id: area
        anchors.fill: parent
        keys: ["text/uri-list"]
        onEntered: drag => drag.accept(Qt.CopyAction)
        onDropped: drop => {
            if (drop.hasUrls) {
                drop.accept(Qt.CopyAction)
                zone.dropped(drop.urls)
            }
        }
    }
}
